import { VERSION } from "@fanwire/service";
import { describe, expect, test } from "vitest";
import { connectRawClient } from "../support/raw-client.ts";
import { connectSocket } from "../support/raw-socket.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const VERSIONED = `client-${VERSION}.js`;
const isBuilt = process.env.FANWIRE_TEST_BUILT !== undefined;

const { pusher, publisher } = useCluster({
  pusher: { PUSHER_WORKERS: "1" },
  publisher: { PUBLISHER_API_KEYS: "a-key-of-the-api" },
});

describe.each(["pusher", "publisher"] as const)("the client that a %s serves", (service) => {
  const urlOf = (path: string) =>
    new URL(path, service === "pusher" ? pusher.url.replace("ws:", "http:") : publisher.url).href;

  test("/client.js is one module for pages of any origin, without a key", async () => {
    const response = await fetch(urlOf("client.js"), { headers: { origin: "https://app.example" } });
    const source = await response.text();

    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/javascript; charset=utf-8",
      "access-control-allow-origin": "*",
      vary: "Accept-Encoding",
      "cache-control": isBuilt ? "public, max-age=300" : "no-cache",
    });
    const module = await import(`data:text/javascript,${encodeURIComponent(source)}`);
    expect([typeof module.connect, typeof module.FanwireError]).toEqual(["function", "function"]);
  });

  test("the file of this version is the same, and built code may be kept permanently", async () => {
    const [current, versioned] = await Promise.all([fetch(urlOf("client.js")), fetch(urlOf(VERSIONED))]);

    expect(await versioned.text()).toBe(await current.text());
    expect(versioned.headers.get("cache-control")).toBe(isBuilt ? "public, max-age=31536000, immutable" : "no-cache");
  });

  test("a browser that has the file gets 304, and HEAD has the headers alone", async () => {
    const plain = await fetch(urlOf("client.js"), { headers: { "accept-encoding": "identity" } });
    const etag = plain.headers.get("etag") ?? "";
    const length = (await plain.arrayBuffer()).byteLength;

    const known = await fetch(urlOf("client.js"), {
      headers: { "accept-encoding": "identity", "if-none-match": etag },
    });
    expect([known.status, known.headers.get("etag"), await known.text()]).toEqual([304, etag, ""]);
    const gzipped = await fetch(urlOf("client.js"), { headers: { "accept-encoding": "gzip", "if-none-match": etag } });
    expect([gzipped.status, gzipped.headers.get("content-encoding")]).toEqual([200, "gzip"]);

    const head = await fetch(urlOf("client.js"), { method: "HEAD", headers: { "accept-encoding": "identity" } });
    expect([head.status, head.headers.get("etag"), await head.text()]).toEqual([200, etag, ""]);
    if (service === "pusher") expect(head.headers.get("content-length")).toBe(String(length));
  });

  test("the file of another version is not there", async () => {
    const response = await fetch(urlOf("client-0.0.0.js"));

    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: "not_found" } });
  });
});

test.each([["client.js"], [VERSIONED]])(
  "a raw WebSocket on /%s receives its greeting, as on every path",
  async (path) => {
    const client = await connectRawClient(new URL(path, pusher.url).href);

    expect(client.address).toMatch(/^\w+\.\d+$/);
  },
);

test("other methods on the path are refused as on every path", async () => {
  const response = await fetch(new URL("client.js", pusher.url.replace("ws:", "http:")), { method: "POST" });

  expect(response.status).toBe(426);
});

test.each([
  ["200", ""],
  ["304", "If-None-Match: *\r\n"],
])("a connection that sends requests and reads no answer is closed after the first one: %s", async (status, header) => {
  const length = (await (await fetch(new URL("client.js", pusher.url.replace("ws:", "http:")))).text()).length;
  const raw = await connectSocket(pusher.url);
  const ask = () => raw.socket.write(`GET /client.js HTTP/1.1\r\nHost: pusher\r\n${header}\r\n`);
  ask();
  await until("the first answer", () => raw.received().includes("Connection: close"));
  ask();

  await until("the end", () => raw.isClosed());
  const answers = raw.received().toString();
  expect(answers.match(/^HTTP\/1.1 \d+/gm)).toEqual([`HTTP/1.1 ${status}`]);
  expect(answers).toContain(`\r\nContent-Length: ${length}\r\n`);
});
