import { deflateSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { errorCode, usePublisher } from "../testing.ts";

const { worker, startAnother, url, post } = usePublisher();

test("a body over the limit is 413, with or without Content-Length", async () => {
  await using small = await startAnother({ PUBLISHER_MAX_BODY_BYTES: "2000" });
  const body = JSON.stringify({ target: { everyone: true }, data: "x".repeat(2_000) });

  const announced = await post(body, small);
  const chunked = await fetch(url("/v1/publications", small), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: new Blob([body]).stream(),
    duplex: "half",
  } as RequestInit); // its type does not know `duplex`

  for (const response of [announced, chunked]) {
    expect([response.status, await errorCode(response)]).toEqual([413, "body_too_large"]);
  }
});

test("requests over the limit of requests in flight are 429, and later ones are answered", async () => {
  await using narrow = await startAnother({ PUBLISHER_MAX_IN_FLIGHT: "2", PUBLISHER_REQUEST_TIMEOUT_MS: "300" });
  worker.outcome = "silence";

  const slow = { target: { connection: "worker01.1" }, data: "x" };
  const responses = await Promise.all([1, 2, 3, 4].map(() => post(slow, narrow)));

  expect(responses.map(({ status }) => status).sort()).toEqual([429, 429, 503, 503]);
  expect(responses.find(({ status }) => status === 429)?.headers.get("retry-after")).toBe("1");
  expect((await fetch(url("/?content=x", narrow))).status).toBe(200);
});

test("bodies over the memory limit are 429, and answered requests release theirs", async () => {
  await using narrow = await startAnother({ PUBLISHER_REQUEST_TIMEOUT_MS: "300" }, { maxHeldBodyBytes: 100_000 });
  worker.outcome = "silence";

  const slow = { target: { connection: "worker01.1" }, data: "x".repeat(40_000) };
  const responses = await Promise.all([1, 2, 3, 4].map(() => post(slow, narrow)));

  expect(responses.map(({ status }) => status).sort()).toEqual([429, 429, 503, 503]);
  worker.outcome = "delivered";
  expect((await post(slow, narrow)).status).toBe(200);
});

test("a body with too many values is refused before it is parsed, and the response is short", async () => {
  const size = 3_000_000;
  const fields = Array.from({ length: 300_000 }, (_, at) => `"${at}":1`).join(",");
  const bodies = [
    `{"target":${"[".repeat(size)}${"]".repeat(size)},"data":"x"}`,
    `{"target":{${fields}},"data":"x"}`,
    `{"target":{"everyone":true},"data":"x",${fields}}`,
    `[${"{},".repeat(size / 2)}{}]`,
    '"'.repeat(size),
    "[".repeat(size),
  ];

  for (const body of bodies) {
    const response = await fetch(url("/v1/publications"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
    });
    expect([400, 422]).toContain(response.status);
    expect((await response.text()).length).toBeLessThan(1_000);
  }
  const unknown = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`field ${at}`, 1]));
  const answer = await (await post({ target: { everyone: true }, data: "x", ...unknown })).text();
  expect(answer).toContain("and 990 more");
  expect(answer.length).toBeLessThan(1_000);
});

test("a compressed body is refused without decompressing it", async () => {
  const bomb = JSON.stringify({ target: { everyone: true }, data: "x".repeat(30_000_000) });

  for (const [encoding, body] of [
    ["gzip", gzipSync(bomb)],
    ["deflate", deflateSync(bomb)],
    ["identity, gzip", gzipSync(bomb)],
  ] as const) {
    const headers = { "Content-Type": "application/json", "Content-Encoding": encoding };
    const response = await fetch(url("/v1/publications"), { method: "POST", headers, body });
    expect([response.status, await errorCode(response)], encoding).toEqual([415, "unsupported_media_type"]);
  }
});
