import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import type { Publisher } from "../publisher.ts";
import { errorCode, errorOf, usePublisher } from "../testing.ts";

const { worker, running, startAnother, url, post } = usePublisher();

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

test.each([
  ["requests over the limit of requests in flight", { maxInFlight: 2 }, "x"],
  ["bodies over the memory limit", { maxHeldBodyBytes: 100_000 }, "x".repeat(40_000)],
])("%s are 429, and later ones are answered", async (_name, limit, data) => {
  await using narrow = await startAnother({ PUBLISHER_REQUEST_TIMEOUT_MS: "300" }, limit);
  worker.outcome = "silence";

  const slow = { target: { connection: "worker01.1" }, data };
  const responses = await Promise.all([1, 2, 3, 4].map(() => post(slow, narrow)));

  expect(responses.map(({ status }) => status).sort()).toEqual([429, 429, 503, 503]);
  expect(responses.find(({ status }) => status === 429)?.headers.get("retry-after")).toBe("1");
  worker.outcome = "delivered";
  expect((await post(slow, narrow)).status).toBe(200);
});

test("the body of a client that has disconnected counts until its route has finished", async () => {
  await using narrow = await startAnother({ PUBLISHER_REQUEST_TIMEOUT_MS: "2000" }, { maxHeldBodyBytes: 100_000 });
  worker.outcome = "silence";
  const slow = { target: { connection: "worker01.1" }, data: "x".repeat(60_000) };
  const client = sendPublication(narrow, JSON.stringify(slow));
  await worker.receives(1);

  await disconnect(client);

  expect((await post(slow, narrow)).status).toBe(429);
  await vi.waitUntil(async () => (await heldBodyBytes(narrow)) === 0, { timeout: 10_000 });
  worker.outcome = "delivered";
  expect((await post(slow, narrow)).status).toBe(200);
});

test("half a body counts until its client disconnects", async () => {
  const { publisher } = running();
  const client = sendPublication(publisher, "x".repeat(1_000), 2_000);
  await vi.waitUntil(async () => (await heldBodyBytes(publisher)) === 1_000, { timeout: 10_000 });

  await disconnect(client);

  await vi.waitUntil(async () => (await heldBodyBytes(publisher)) === 0, { timeout: 10_000 });
});

test("the body of a request behind another one of its connection counts until the client disconnects", async () => {
  await using impatient = await startAnother({ PUBLISHER_REQUEST_TIMEOUT_MS: "1000" });
  worker.outcome = "silence";
  const body = JSON.stringify({ target: { connection: "worker01.1" }, data: "x" });
  const client = sendPublication(impatient, body);
  sendPublication(impatient, body, body.length, client);
  await vi.waitUntil(async () => (await heldBodyBytes(impatient)) === 2 * body.length, { timeout: 10_000 });

  await disconnect(client);

  await vi.waitUntil(async () => (await heldBodyBytes(impatient)) === 0, { timeout: 10_000 });
});

/** Sends a publication without reading the response. */
function sendPublication(
  { port }: Publisher,
  body: string,
  length = body.length,
  client = connect({ port, host: "127.0.0.1" }),
): Socket {
  const headers = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}`;
  client.write(`POST /v1/publications HTTP/1.1\r\n${headers}\r\n\r\n${body}`);
  return client;
}

/** Resolves when the publisher has closed the connection too. */
async function disconnect(client: Socket): Promise<void> {
  client.resume().end();
  await once(client, "close");
}

describe("content is counted once for each topic", () => {
  const topics = (count: number) => Array.from({ length: count }, (_, at) => `counted.${at}`);

  test("above the limit of a body it is 413, and nothing of the request is published", async () => {
    await using small = await startAnother({ PUBLISHER_MAX_BODY_BYTES: "20000" });
    const before = { target: { topic: "counted.0" }, data: "before" };
    const large = { target: { topics: topics(10) }, data: "x".repeat(2_000) };
    const many = Array.from({ length: 10 }, () => ({ target: { topics: topics(10) }, data: "x" }));

    for (const body of [large, { ...large, durable: true }, [before, large], [before, ...many]]) {
      const response = await post(body, small);
      expect(response.status).toBe(413);
      expect(await errorOf(response)).toMatchObject({ code: "body_too_large", message: /fewer topics/ });
    }

    expect((await post([before, { ...large, target: { topics: topics(5) } }], small)).status).toBe(200);
    await worker.receives(6);
    expect(worker.received).toHaveLength(6);
    expect(await heldBodyBytes(small)).toBe(0);
  });

  test("above the memory for all bodies it is 429", async () => {
    // The workers do not count for a receipt, so the first request takes this long.
    const timeout = { PUBLISHER_RECEIPT_TIMEOUT_MS: "2000" };
    await using narrow = await startAnother(timeout, { maxHeldBodyBytes: 100_000 });
    const large = { target: { topics: topics(10) }, data: "x".repeat(5_000), receipt: true };

    const first = post(large, narrow);
    await worker.receives(10);

    expect((await post(large, narrow)).status).toBe(429);
    expect((await first).status).toBe(200);
    expect(worker.received).toHaveLength(10);
  });
});

async function heldBodyBytes({ adminPort }: Publisher): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return Number(/^fanwire_publisher_held_body_bytes (\d+)$/m.exec(metrics)?.[1]);
}

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
    const response = await post(body);
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
    const response = await post(body, running().publisher, { "Content-Encoding": encoding });
    expect([response.status, await errorCode(response)], encoding).toEqual([415, "unsupported_media_type"]);
  }
});

test("a large body is decoded in pieces like a small one: characters at their ends are kept, other bytes are refused", async () => {
  // One ASCII character moves all others across the ends of pieces.
  for (const start of ["", "x"]) {
    const data = start + "ж€😀".repeat(9_000);
    const batch = Array.from({ length: 20 }, () => ({ target: { connection: "worker01.1" }, data }));
    expect((await post(batch)).status).toBe(200);
    expect(worker.received.slice(-20).map(({ content }) => content.toString())).toEqual(batch.map((each) => each.data));
  }
  const body = Buffer.concat([Buffer.from('{"target":{"everyone":true},"data":"'), Buffer.alloc(1_500_000, 0xd0)]);
  const response = await post(body);
  expect([response.status, await errorCode(response)]).toEqual([400, "malformed_json"]);
});
