import { createLog } from "@fanwire/service";
import { expect, test, vi } from "vitest";
import { startPublisher } from "./publisher.ts";
import { configFor, errorCode, errorOf, isReady, never, usePublisher } from "./testing.ts";

const { running, url, post, rawGet } = usePublisher();

test("an unknown path is 404 in JSON", async () => {
  for (const path of ["/nope", "/v1", "/v1/nope", "/index.php?content=x", "//"]) {
    const response = await fetch(url(path));
    expect([response.status, await errorCode(response)], path).toEqual([404, "not_found"]);
  }
});

test("a path or query that is not UTF-8 is 400 on every route", async () => {
  const topics = ["%ff", "%E7%E0", "a%C3", "%ED%A0%80", "%zz", "%", Buffer.from([0xff]), "%c0%ae"];
  for (const topic of topics.map((each) => Buffer.from(each))) {
    for (const [before, after] of [
      ["/v1/topics/", ""],
      ["/v1/topics/", "/publications"],
      ["/v1/topics/a/publications?since=", ""],
      ["/v1/users/x?after=", ""],
      ["/v1/users/", ""],
      ["/v1/connections/", ""],
      ["/nope/", ""],
    ] as const) {
      const target = Buffer.concat([Buffer.from(before), topic, Buffer.from(after)]);
      expect(await rawGet(target), target.toString("latin1")).toMatch(/^HTTP\/1.1 400 .*"code":"malformed_target"/s);
    }
  }
});

test("a path may name any topic, also dots and percent signs", async () => {
  for (const [path, topic] of [
    ["%2E", "."],
    ["%2e%2E", ".."],
    [".", "."],
    ["..", ".."],
    ["%252e", "%2e"],
    ["%2525", "%25"],
    ["%D1%8F", "я"],
    ["я", "я"],
    ["a%2Fb%3Fc%23", "a/b?c#"],
    ["a+b", "a+b"],
  ]) {
    const answer = await rawGet(`/v1/topics/${path}`);
    expect(answer, path).toMatch(/^HTTP\/1.1 200/);
    expect(JSON.parse(answer.slice(answer.indexOf("{")))).toMatchObject({ topic });
  }
});

test("a parameter that occurs more than once is 422 with one sentence that names it", async () => {
  const message = "occurs more than once; send it once";
  for (const [path, ...fields] of [
    ["/v1/connections?limit=1&limit=2", "limit"],
    ["/v1/connections?order=address&user=a&order=busiest&user=b", "user", "order"],
    ["/v1/topics?search=a&search=a", "search"],
    ["/v1/topics/a/publications?since=e-1&since=e-2", "since"],
    ["/v1/topics/a/members?after=x&after=y", "after"],
    ["/v1/users/anna?after=aaaaaaa1.1&after=aaaaaaa1.2", "after"],
    ["/v1/trace?kinds=publication&kinds=recovery", "kinds"],
  ] as const) {
    const response = await fetch(url(path));
    expect(response.status, path).toBe(422);
    const details = fields.map((field) => ({ field, message }));
    expect((await errorOf(response)).details, path).toEqual(details);
  }
});

test("a limit is written in decimal digits", async () => {
  for (const path of ["/v1/connections", "/v1/users", "/v1/topics", "/v1/users/anna"]) {
    for (const limit of ["", "0x10", "1e2", "%205", "+5", "5.0", "x", "٣", "-1", "0", "99999999999999999999"]) {
      const response = await fetch(url(`${path}?limit=${limit}`));
      expect(response.status, limit).toBe(422);
      expect(await errorOf(response)).toMatchObject({ code: "invalid_request", details: { 0: { field: "limit" } } });
    }
    expect((await fetch(url(`${path}?limit=5`))).status).toBe(200);
  }
});

test("an unknown method is 405 with the known methods in Allow", async () => {
  const response = await fetch(url("/v1/connections/worker01.1"), { method: "POST" });

  expect([response.status, response.headers.get("allow")]).toEqual([405, "DELETE, GET, HEAD"]);
});

test("responses forbid caching, sniffing and framing", async () => {
  const { headers } = await fetch(url("/?content=x"));

  expect(headers.get("cache-control")).toBe("no-store");
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  expect(headers.get("server")).toBeNull();
});

test("requests and publications are counted by pattern, not by path", async () => {
  await fetch(url("/v1/connections/worker01.1"));
  await fetch(url("/nope/with/a/path"));
  await post({ target: { connection: "worker99.1" }, data: "x" });

  const metrics = await (await fetch(`http://127.0.0.1:${running().publisher.adminPort}/metrics`)).text();
  expect(metrics).toContain('requests_total{route="/v1/connections/{address}",method="GET",status="200"}');
  expect(metrics).toContain('requests_total{route="unmatched",method="GET",status="404"}');
  expect(metrics).toContain('publications_total{target="connection",outcome="connection_not_found"}');
  // No publication can have these outcomes.
  expect(metrics).not.toMatch(/publications_total\{.*(too_many|topic_limit)/);
  expect(metrics).toMatch(/^fanwire_publisher_in_flight 0$/m);
  expect(metrics).toMatch(/^fanwire_publisher_held_body_bytes 0$/m);
  expect(metrics).not.toContain("/nope");
});

test("neither keys nor content are logged", async () => {
  const key = "right-key-0123456789";
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => lines.push(String(line)) > 0);
  const loud = createLog("test", "trace");
  await using started = await startPublisher(
    configFor(running().nats, { PUBLISHER_API_KEYS: key }),
    { log: loud },
    never,
  );
  await vi.waitUntil(() => isReady(started), { timeout: 10_000 });

  await fetch(url(`/?content=secret-content&key=${key}`, started));
  await fetch(url(`/nope?key=${key}`, started));
  await rawGet(`/?content=я&key=${key}`, started);
  await rawGet(`/\\?key=${key}`, started);
  await post({ target: { everyone: true }, data: "secret-content" }, started, { Authorization: `Bearer ${key}` });
  await started.stop();
  write.mockRestore();

  expect(lines.join("")).toContain("request answered");
  expect(lines.join("")).not.toMatch(/right-key|secret-content/);
});
