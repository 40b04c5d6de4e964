import { createHash } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { requestSignature } from "@fanwire/pusher-protocol";
import { beforeAll, describe, expect, test } from "vitest";
import type { ErrorCode } from "../http/errors.ts";
import type { Publisher } from "../publisher.ts";
import { NatsServer, startReady, usePublisher } from "../testing.ts";

const FULL_KEY = "full-key-0123456789";
const READ_KEY = "read-key-0123456789";
const APP = { id: "1001", key: "k", secret: "s" };
const APPS = { FANWIRE_PUSHER_APPS: JSON.stringify([APP]) };
const SAMPLES: Record<string, string> = {
  address: "worker01.1",
  topic: "a",
  user: "anna",
  app_id: APP.id,
  channel_name: "presence-a",
  user_id: "anna",
};
/** An event for the Pusher HTTP API, and a batch with it. */
const EVENT = { name: "n", channel: "cache-a", data: "d" };
const PUSHER_BODY = JSON.stringify({ ...EVENT, batch: [EVENT] });
const JSON_HEADERS = { "Content-Type": "application/json" };

type Responses = Record<string, { readonly description: string }>;
type Operation = { readonly method: string; readonly path: string; readonly responses: Responses };
type Sent = { readonly headers?: Record<string, string>; readonly query?: string; readonly body?: string };
type Answer = { readonly status: string; readonly code: ErrorCode | undefined; readonly type: string | undefined };

const { worker, url, running, startAnother } = usePublisher();
let operations: Operation[];

beforeAll(async () => {
  await using described = await startAnother(APPS);
  const document = (await (await fetch(url("/openapi.json", described))).json()) as {
    paths: Record<string, Record<string, { responses: Responses }>>;
  };
  operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { responses }]) => ({ method: method.toUpperCase(), path, responses })),
  );
  expect(operations.length).toBeGreaterThan(20);
});

const isPusherApi = ({ path }: Operation) => /^\/(apps|users)\//.test(path);
const changes = ({ method }: Operation) => method !== "GET" && method !== "HEAD";

/** Returns what makes the request to the Pusher HTTP API a signed one with an event. */
function signed({ method, path }: Operation): Sent {
  const parameters = {
    auth_key: APP.key,
    auth_timestamp: String(Math.floor(Date.now() / 1_000)),
    body_md5: createHash("md5").update(PUSHER_BODY).digest("hex"),
    info: "user_count",
  };
  const query = new URLSearchParams(parameters).toString();
  const signature = requestSignature(APP.secret, { method, path: targetOf(path), query });
  return { query: `?${query}&auth_signature=${signature}`, body: PUSHER_BODY };
}

const targetOf = (path: string) => path.replaceAll(/\{(\w+)\}/g, (_, name: string) => SAMPLES[name] ?? "x");

/** Sends a request with exactly these headers. Ends a stream of events at its head. */
async function send(to: Publisher, { method, path }: Operation, { headers, query = "", body }: Sent): Promise<Answer> {
  const target = targetOf(path) + query;
  const sent = request({ port: to.port, host: "127.0.0.1", method, path: target, headers, agent: false });
  sent.end(body);
  const [response] = await once(sent, "response");
  const type = response.headers["content-type"];
  const text = type?.startsWith("text/event-stream") ? "" : await new Response(response).text();
  response.destroy();
  const code = type === "application/json" && text !== "" ? JSON.parse(text).error?.code : undefined;
  return { status: String(response.statusCode), code, type };
}

/** Expects that the document of the operation has the status, and names the error. */
function expectDocumented(operation: Operation, { status, code, type }: Answer): void {
  const name = `${operation.method} ${operation.path} ${status} ${code}`;
  expect(Object.keys(operation.responses), name).toContain(status);
  if (status.startsWith("2")) return;
  expect(type, name).toBe("application/json");
  if (operation.method !== "HEAD") expect(operation.responses[status]?.description, name).toContain(`\`${code}\``);
}

/** Sends a request to an operation, signed if it belongs to the Pusher HTTP API. */
const sendSigned = (to: Publisher, operation: Operation, sent: Sent) =>
  send(to, operation, isPusherApi(operation) ? { ...sent, ...signed(operation) } : sent);

/** Sends a request to each operation, and expects the status and that it is documented. */
async function expectOfAll(to: Publisher, all: readonly Operation[], sent: Sent, status: string) {
  for (const operation of all) {
    const answer = await send(to, operation, sent);
    expect(answer.status, `${operation.method} ${operation.path} ${answer.code}`).toBe(status);
    expectDocumented(operation, answer);
  }
}

describe("every operation documents what it answers to", () => {
  test("an upgrade, a query that is not UTF-8 and a large header", async () => {
    const { publisher } = running();
    const own = operations.filter((each) => !isPusherApi(each));

    await expectOfAll(publisher, own, { headers: { Connection: "Upgrade", Upgrade: "websocket" } }, "400");
    const strict = own.filter(({ path }) => path !== "/");
    await expectOfAll(publisher, strict, { query: "?after=%ff" }, "400");
    // The server does not know the method of a head that it cannot read, and sends the body for HEAD too.
    const withBody = own.filter(({ method }) => method !== "HEAD");
    await expectOfAll(publisher, withBody, { headers: { "X-Large": "x".repeat(70_000) } }, "431");
  });

  test("a foreign request without keys, no key, and a key that only reads", async () => {
    const { publisher } = running();
    await using closed = await startAnother({ PUBLISHER_API_KEYS: `${FULL_KEY},read:${READ_KEY}`, ...APPS });
    const own = operations.filter((each) => !isPusherApi(each));
    const writing = own.filter((each) => changes(each) || each.path === "/");

    await expectOfAll(publisher, own, { headers: { Host: "evil.example" } }, "403");
    await expectOfAll(closed, operations, {}, "401");
    await expectOfAll(closed, writing, { headers: { Authorization: `Bearer ${READ_KEY}` } }, "403");
  });

  test("another method", async () => {
    await using closed = await startAnother(APPS);
    for (const operation of operations) {
      for (const method of ["PATCH", "OPTIONS", "TRACE", "PURGE"]) {
        const answer = await send(closed, { ...operation, method }, {});
        expect([answer.status, answer.code], `${method} ${operation.path}`).toEqual(["405", "method_not_allowed"]);
        expectDocumented(operation, answer);
      }
    }
  });

  test("invalid bodies and parameters", async () => {
    const { publisher } = running();
    const posting = operations.filter(({ path }) => path === "/v1/publications");
    const lists = operations.filter(({ method, path }) => method === "GET" && /^\/v1\/(?!cluster|key)\w+$/.test(path));

    await expectOfAll(publisher, posting, { body: "{}" }, "415");
    await expectOfAll(publisher, posting, { headers: JSON_HEADERS, body: "{" }, "400");
    await expectOfAll(publisher, posting, { headers: JSON_HEADERS, body: "{}" }, "422");
    await expectOfAll(publisher, posting, { headers: { ...JSON_HEADERS, "Content-Length": "99999999" } }, "413");
    await expectOfAll(publisher, lists, { query: "?limti=1" }, "422");
  });

  test("signed bodies that are too large or compressed", async () => {
    await using closed = await startAnother(APPS);
    for (const operation of operations.filter(isPusherApi)) {
      const large = await sendSigned(closed, operation, { headers: { "Content-Length": "99999999" } });
      const compressed = await sendSigned(closed, operation, { headers: { "Content-Encoding": "gzip" } });
      expect([large.status, compressed.status], operation.path).toEqual(["413", "415"]);
      expectDocumented(operation, large);
      expectDocumented(operation, compressed);
    }
  });

  test("silent workers, and too many requests", async () => {
    worker.outcome = "silence";
    await using narrow = await startAnother({
      PUBLISHER_REQUEST_TIMEOUT_MS: "100",
      PUBLISHER_MAX_IN_FLIGHT: "1",
      ...APPS,
    });
    const body = JSON.stringify({ target: { connection: "worker01.1" }, data: "x" });
    const sent = { headers: JSON_HEADERS, body };

    const codes = new Set<unknown>();
    for (const operation of operations) {
      const answer = await sendSigned(narrow, operation, sent);
      expectDocumented(operation, answer);
      codes.add(answer.code);
    }
    for (const operation of operations) {
      const held = send(narrow, { method: "GET", path: "/v1/connections/{address}", responses: {} }, {});
      const answer = await sendSigned(narrow, operation, sent);
      expectDocumented(operation, answer);
      codes.add(answer.code);
      await held;
    }
    expect([...codes]).toEqual(expect.arrayContaining(["worker_timeout", "too_many_requests"]));
  });

  test("NATS that has ended", async () => {
    await using nats = await NatsServer.run();
    await using alone = await startReady(nats, APPS);
    await nats.stop();
    const publication = JSON.stringify({ target: { topic: "a" }, data: "x", durable: true });

    for (const operation of operations) {
      expectDocumented(operation, await sendSigned(alone, operation, { headers: JSON_HEADERS, body: publication }));
    }
  });
});
