import { once } from "node:events";
import { request } from "node:http";
import { expect, onTestFinished, test, vi } from "vitest";
import { readConfig } from "../config.ts";
import { errorCode, usePublisher } from "../testing.ts";

const KEY = "0123456789abcdef";
const APP = "https://app.example";

const { worker, url, running, startAnother } = usePublisher();

async function startWithOrigins(origins: string) {
  const publisher = await startAnother({ PUBLISHER_API_KEYS: KEY, PUBLISHER_CORS_ORIGINS: origins });
  onTestFinished(() => publisher.stop());
  return publisher;
}

const allowed = ({ headers }: Response) => headers.get("access-control-allow-origin");

const HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const accepting = (accept: string) => ({ Accept: accept });
const UPGRADE = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** Sends a request with exactly these headers. */
async function get(path: string, headers: Record<string, string>, port: number, method = "GET") {
  const sent = request({ port, host: "127.0.0.1", path, method, headers }).end();
  const [response] = await once(sent, "response");
  const text = await new Response(response).text();
  return { status: response.statusCode, type: response.headers["content-type"], headers: response.headers, text };
}

test("a page of a configured origin may call /v1 with a key, after a preflight request without one", async () => {
  const publisher = await startWithOrigins(`${APP},https://*.app.example,capacitor://localhost`);
  const preflight = (origin: string, path = "/v1/publications") =>
    fetch(url(path, publisher), {
      method: "OPTIONS",
      headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
    });
  const publish = (origin: string, key: string) =>
    fetch(url("/v1/publications", publisher), {
      method: "POST",
      headers: { Origin: origin, Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: '{"target":{"everyone":true},"data":{"a":1}}',
    });

  const asked = await preflight(APP);
  expect([asked.status, allowed(asked)]).toEqual([204, APP]);
  expect(asked.headers.get("access-control-allow-headers")).toBe("Authorization, Content-Type");
  expect(asked.headers.get("vary")).toContain("Origin");
  expect(asked.headers.get("access-control-allow-credentials")).toBeNull();
  const published = await publish(APP, KEY);
  expect([published.status, allowed(published)]).toEqual([200, APP]);
  const refused = await publish(APP, "wrong-key-of-16-chars");
  expect([refused.status, allowed(refused)]).toEqual([401, APP]);

  // By the wildcard, and of another scheme than http.
  for (const origin of ["https://a.b.app.example", "capacitor://localhost"]) {
    expect(allowed(await preflight(origin))).toBe(origin);
  }
  for (const origin of ["", "null", "https://other.example", "https://app.example.evil", "capacitor://evil"]) {
    const foreign = await preflight(origin);
    expect([foreign.status, allowed(foreign)], origin).toEqual([401, null]);
    expect(allowed(await publish(origin, KEY)), origin).toBeNull();
  }
  expect(allowed(await preflight(APP, "/"))).toBeNull();
  expect(allowed(await preflight(APP, "/openapi.json"))).toBeNull();
});

test("a page of a configured origin may read that it sends too many requests, or an invalid URL", async () => {
  const env = { PUBLISHER_API_KEYS: KEY, PUBLISHER_CORS_ORIGINS: APP, PUBLISHER_MAX_IN_FLIGHT: "1" };
  await using narrow = await startAnother({ ...env, PUBLISHER_REQUEST_TIMEOUT_MS: "10000" });
  const headers = { Origin: APP, Authorization: `Bearer ${KEY}` };
  const ask = (path: string, more: RequestInit = {}) => fetch(url(path, narrow), { headers, ...more });
  worker.outcome = "silence";
  const abort = new AbortController();
  const held = ask("/v1/connections/worker01.1", { signal: abort.signal }).catch(() => {});

  const refused = await vi.waitUntil(async () => {
    const response = await ask("/v1/key");
    return response.status === 429 && response;
  });
  const preflight = await ask("/v1/key", {
    method: "OPTIONS",
    headers: { Origin: APP, "Access-Control-Request-Method": "GET" },
  });
  abort.abort();
  await held;
  const malformed = await get("/v1/topics/%ff", headers, (await startWithOrigins(APP)).port);

  expect([await errorCode(refused), allowed(refused)]).toEqual(["too_many_requests", APP]);
  expect(refused.headers.get("access-control-expose-headers")).toBe("Retry-After");
  expect([preflight.status, allowed(preflight)]).toEqual([204, APP]);
  expect([malformed.status, malformed.headers["access-control-allow-origin"]]).toEqual([400, APP]);
});

test("a trace may be read by a page of a configured origin", async () => {
  const publisher = await startWithOrigins("*");
  const abort = new AbortController();
  const headers = { Origin: APP, Authorization: `Bearer ${KEY}` };

  const trace = await fetch(url("/v1/trace?kinds=publication", publisher), { headers, signal: abort.signal });

  expect([trace.status, allowed(trace)]).toEqual([200, APP]);
  abort.abort();
});

test("without the setting no page of another origin may read a response", async () => {
  const response = await fetch(url("/v1/cluster"), { headers: { Origin: "http://127.0.0.1:1" } });

  expect([response.status, await errorCode(response), allowed(response)]).toEqual([403, "foreign_request", null]);
});

test("origins are checked at the start, and need keys", () => {
  const read = (origins: string) => readConfig({ PUBLISHER_API_KEYS: KEY, PUBLISHER_CORS_ORIGINS: origins });

  expect(() => read("app.example")).toThrow("PUBLISHER_CORS_ORIGINS: write https://app.example");
  expect(() => read("null")).toThrow("PUBLISHER_CORS_ORIGINS: null stands for pages of any site");
  expect(() => readConfig({ PUBLISHER_CORS_ORIGINS: APP })).toThrow(/needs PUBLISHER_API_KEYS/);
});

test("a WebSocket is refused with the place where WebSockets are", async () => {
  const { publisher } = running();
  const withKeys = await startWithOrigins("");

  for (const { port } of [publisher, withKeys]) {
    for (const path of ["/", "/app/key", "/v1/trace", "/?content=not+published"]) {
      const { status, text } = await get(path, UPGRADE, port);
      const { error } = JSON.parse(text);
      expect([status, error.code], path).toEqual([400, "no_websockets"]);
      expect(error.message).toMatch(/Connect to a pusher: ws:.*4236/);
    }
  }
  expect(worker.received).toEqual([]);
});

test("a browser gets a start page, and every other client the answer of the classic route", async () => {
  const { port } = running().publisher;

  const page = await get("/", accepting(HTML), port);

  expect([page.status, page.type]).toEqual([200, "text/html; charset=UTF-8"]);
  expect(page.text).toContain('<a href="docs">');
  expect(page.text).toContain('<a href="console">');
  expect(page.text).toContain(`curl http://127.0.0.1:${port}/v1/publications`);
  expect(page.headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'sha256-[^']+';/);
  expect(page.headers["content-security-policy"]).not.toContain("unsafe");
  for (const headers of [{}, ...["*/*", "text/plain", "application/json"].map(accepting)]) {
    expect(await get("/", headers, port), JSON.stringify(headers)).toMatchObject({
      status: 200,
      type: "text/plain; charset=utf-8",
      text: "ok",
    });
  }
  expect(await get("/?content=", accepting(HTML), port)).toMatchObject({ text: "ok" });
  expect(await get("/?content=hi", accepting(HTML), port)).toMatchObject({ text: "ok" });
  expect(await get("/", accepting(HTML), port, "POST")).toMatchObject({ text: "ok" });
  await worker.receives(1);
});

test("with keys the start page shows how to send one, and needs none", async () => {
  const { port } = await startWithOrigins("");

  const page = await get("/", accepting(HTML), port);

  expect(page.status).toBe(200);
  expect(page.text).toContain("Authorization: Bearer");
  expect(page.text).not.toContain(KEY);
  expect((await get("/", accepting("*/*"), port)).status).toBe(401);
});
