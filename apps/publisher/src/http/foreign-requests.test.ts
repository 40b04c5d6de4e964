import { request } from "node:http";
import { hostname } from "node:os";
import { expect, test } from "vitest";
import { usePublisher } from "../testing.ts";
import { isCrossSite, isForeignHost } from "./foreign-requests.ts";

const { worker, running, startAnother } = usePublisher();

test("a host name with dots is foreign; IP addresses, names of one label and this machine's own are not", () => {
  const own = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    "10.0.0.5",
    "publisher",
    "app.localhost",
    hostname(),
    "host.docker.internal",
  ];
  for (const host of own.flatMap((name) => [name, `${name}:4237`, name.toUpperCase()])) {
    expect(isForeignHost({ headers: { host } }), host).toBe(false);
  }
  for (const host of [
    "evil.example",
    "evil.example:4237",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example.",
    "a b",
    "localhost:x",
  ]) {
    expect(isForeignHost({ headers: { host } }), host).toBe(true);
  }
  expect(isForeignHost({ headers: {} })).toBe(false);
});

test("a cross-site request is recognised by Sec-Fetch-Site, or by Origin in old browsers", () => {
  const host = "localhost:4237";
  const isRefused = (headers: object) => isCrossSite({ headers: { host, ...headers } });

  for (const site of ["cross-site", "Cross-Site"]) expect(isRefused({ "sec-fetch-site": site })).toBe(true);
  for (const site of ["", "unknown"]) {
    expect(isRefused({ "sec-fetch-site": site, origin: "https://evil.example" }), site).toBe(true);
    expect(isRefused({ "sec-fetch-site": site }), site).toBe(false);
  }
  for (const site of ["same-origin", "same-site", "none"]) expect(isRefused({ "sec-fetch-site": site })).toBe(false);
  expect(isRefused({ origin: "https://evil.example" })).toBe(true);
  expect(isRefused({ origin: "null" })).toBe(true);
  expect(isRefused({ origin: "http://localhost:4237" })).toBe(false);
  expect(isRefused({})).toBe(false);
});

/** Uses node:http, because `fetch` does not allow these headers. */
function statusOf(port: number, path: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: "127.0.0.1", path, headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.once("error", reject).end();
  });
}

test("without keys, foreign requests are refused on all routes; with keys, the keys decide", async () => {
  const open = running().publisher.port;
  await using closed = await startAnother({ PUBLISHER_API_KEYS: "right-key-0123456789" });
  const foreign = [{ "Sec-Fetch-Site": "cross-site" }, { Host: "evil.example" }, { Origin: "https://evil.example" }];

  for (const headers of foreign) {
    for (const path of ["/?content=x", "/v1/cluster", "/v1/connections/worker01.1"]) {
      expect(await statusOf(open, path, headers), `${path} ${JSON.stringify(headers)}`).toBe(403);
    }
    expect(await statusOf(open, "/docs", headers)).toBe(200);
    expect(await statusOf(closed.port, "/?content=x", headers)).toBe(401);
    expect(await statusOf(closed.port, "/?content=keyed&key=right-key-0123456789", headers)).toBe(200);
  }
  expect(await statusOf(open, "/?content=own", { "Sec-Fetch-Site": "none" })).toBe(200);

  await worker.receives(foreign.length + 1);
  expect(worker.receivedContents()).toEqual([...foreign.map(() => "keyed"), "own"]);
});
