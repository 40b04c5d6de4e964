import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Publisher } from "../publisher.ts";
import { errorCode, usePublisher } from "../testing.ts";

const { worker, startAnother, url } = usePublisher();

describe("keys", () => {
  const key = "right-key+0123456789";
  const bearer = (value: string) => ({ headers: { Authorization: `Bearer ${value}` } });
  let closed: Publisher;

  beforeAll(async () => {
    closed = await startAnother({ PUBLISHER_API_KEYS: `another-key-0123456789,${key}` });
  });
  afterAll(() => closed.stop());

  test("are required on all routes that publish or read, and requested with WWW-Authenticate", async () => {
    const call = (path: string, init?: RequestInit) => fetch(url(path, closed), init);

    for (const path of [
      "/",
      "/?content=x",
      "/v1/cluster",
      "/v1/publications",
      "/v1/connections/worker01.1",
      "/v1/nope",
    ]) {
      for (const refused of [await call(path), await call(path, bearer("wrong-key-0123456789"))]) {
        expect([refused.status, await errorCode(refused)], path).toEqual([401, "unauthorized"]);
        expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="fanwire"');
      }
      expect((await call(path, bearer(key))).status, path).not.toBe(401);
    }
    for (const path of ["/openapi.json", "/docs"]) expect((await call(path)).status).toBe(200);
  });

  test("may be in the query of the classic route only", async () => {
    const status = async (path: string) => (await fetch(url(path, closed))).status;

    expect(await status(`/?content=x&key=${encodeURIComponent(key)}`)).toBe(200);
    expect(await status("/?content=x&key=wrong")).toBe(401);
    expect(await status(`/v1/cluster?key=${encodeURIComponent(key)}`)).toBe(401);
  });

  test("that only read are refused everything but GET and HEAD", async () => {
    await using publisher = await startAnother({ PUBLISHER_API_KEYS: `${key},read:reading-key-0123456` });
    const reading = bearer("reading-key-0123456");
    const call = (method: string, path: string) => fetch(url(path, publisher), { method, ...reading });

    for (const path of ["/v1/cluster", "/v1/topics/t/publications?limit=1", "/v1/connections/worker01.1"]) {
      for (const method of ["GET", "HEAD"]) expect((await call(method, path)).status, path).not.toBe(403);
    }
    expect(await (await call("GET", "/v1/key")).json()).toEqual({ scope: "read" });
    expect((await call("GET", "/v1/nope")).status).toBe(404);
    for (const [method, path] of [
      ["POST", "/v1/publications"],
      ["DELETE", "/v1/connections/worker01.1"],
      ["PATCH", "/v1/cluster"],
      ["POST", "/v1/nope"],
      ["GET", "/?content=x"],
      ["GET", "/?content=x&key=wrong"],
      ["POST", "/?content=x&key=reading-key-0123456"],
      ["HEAD", "/?content=x"],
    ] as const) {
      const response = await call(method, path);
      expect(response.status, `${method} ${path}`).toBe(403);
      if (method !== "HEAD") expect(await errorCode(response)).toBe("forbidden");
    }
    expect(worker.closed).toEqual([]);
    expect(worker.received).toEqual([]);
    expect((await fetch(url("/?content=x&key=reading-key-0123456", publisher), bearer(key))).status).toBe(200);
  });

  test("have a scope that the API returns", async () => {
    const scopeOf = async (to: Publisher | undefined, init?: RequestInit) =>
      (await fetch(url("/v1/key", to), init)).json();

    expect(await scopeOf(closed, bearer(key))).toEqual({ scope: "full" });
    expect(await scopeOf(undefined)).toEqual({ scope: "open" });
    expect(await scopeOf(closed)).toMatchObject({ error: { code: "unauthorized" } });
  });
});
