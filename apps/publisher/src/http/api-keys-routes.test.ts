import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Publisher } from "../publisher.ts";
import { errorCode, usePublisher } from "../testing.ts";

const { startAnother, url } = usePublisher();

describe("keys", () => {
  const key = "right-key+0123456789";
  const bearer = (value: string) => ({ headers: { Authorization: `Bearer ${value}` } });
  let closed: Publisher;

  beforeAll(async () => {
    closed = await startAnother({ PUBLISHER_API_KEYS: `another-key-0123456789,${key}` });
  });
  afterAll(() => closed.stop());

  test("are required on all routes that publish or read", async () => {
    const status = async (path: string, init?: RequestInit) => (await fetch(url(path, closed), init)).status;

    for (const path of [
      "/",
      "/?content=x",
      "/v1/cluster",
      "/v1/publications",
      "/v1/connections/worker01.1",
      "/v1/nope",
    ]) {
      expect(await status(path), path).toBe(401);
      expect(await status(path, bearer("wrong-key-0123456789")), path).toBe(401);
      expect(await status(path, bearer(key)), path).not.toBe(401);
    }
    expect(await status("/openapi.json")).toBe(200);
    expect(await status("/docs")).toBe(200);
  });

  test("may be in the query of the classic route only", async () => {
    const status = async (path: string) => (await fetch(url(path, closed))).status;

    expect(await status(`/?content=x&key=${encodeURIComponent(key)}`)).toBe(200);
    expect(await status("/?content=x&key=wrong")).toBe(401);
    expect(await status(`/v1/cluster?key=${encodeURIComponent(key)}`)).toBe(401);
  });

  test("are requested with WWW-Authenticate", async () => {
    const response = await fetch(url("/v1/cluster", closed));

    expect(response.headers.get("www-authenticate")).toBe('Bearer realm="fanwire"');
    expect(await errorCode(response)).toBe("unauthorized");
  });
});
