import { OpenAPIHono } from "@hono/zod-openapi";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseQuery } from "../compat/php-query.ts";
import { exchangeBytes } from "../testing.ts";
import type { Api } from "./api.ts";
import { type ApiServer, startApiServer } from "./server.ts";

let server: ApiServer;

beforeAll(async () => {
  const api: Api = new OpenAPIHono();
  api.all("*", async (c) => {
    const content = parseQuery(c.env.incoming.url ?? "").parameters.get("content") ?? Buffer.alloc(0);
    const body = c.req.method === "POST" ? await c.req.text() : "";
    return c.json({ method: c.req.method, path: c.req.path, content: content.toString("hex"), body });
  });
  server = await startApiServer(api, "127.0.0.1", 0);
});

afterAll(() => server.stop(100));

const exchange = (...parts: (string | Buffer)[]) => exchangeBytes(server.port, ...parts);

const END = " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

test("raw non-ASCII bytes in a query are accepted unchanged", async () => {
  const answer = await exchange("GET /?content=", "привет", Buffer.from([0xff, 0x80]), END);
  const inOnePacket = await exchange(
    Buffer.concat([Buffer.from("GET /?content=привет"), Buffer.from([0xff, 0x80]), Buffer.from(END)]),
  );

  expect(inOnePacket).toContain(`${Buffer.from("привет").toString("hex")}ff80`);
  expect(inOnePacket).toMatch(/^HTTP\/1.1 200 OK/);
  // Node's parser does not return the beginning of a line in several packets, so that such a line is refused.
  expect(answer).toMatch(/^HTTP\/1.1 400 .*"code":"malformed_target"/s);
});

test("the rest of such a request may arrive later", async () => {
  const answer = await exchange(
    "POST /?content=при",
    "вет HTTP/1.1\r\nHost: local",
    "host\r\nContent-Length: 6\r\n\r\nabc",
    "def",
  );

  expect(answer).toMatch(/^HTTP\/1.1 200 OK/);
  expect(answer).toMatch(/^connection: close/im);
  expect(answer).toContain(`"content":"${Buffer.from("привет").toString("hex")}","body":"abcdef"`);
});

test("such a request may follow another one on the same connection", async () => {
  const first = "GET /?content=a HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const answer = await exchange(first, `GET /?content=я${END}`);

  expect(answer).toContain('"content":"61"');
  expect(answer).toContain('"content":"d18f"');
});

test("HTTP/1.0 with raw bytes is answered, then the connection is closed", async () => {
  const answer = await exchange("GET /?content=я HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

  expect(answer).toContain('"content":"d18f"');
});

test("bytes that are not HTTP are refused in JSON", async () => {
  for (const nonsense of [
    "\u0016\u0003\u0001",
    "GET / HTTP/9.9\r\n\r\n",
    `GET /?content=я\u0001${END}`,
    "GET /?content=a b c HTTP/1.1\r\n\r\n",
    "привет\r\n\r\n",
  ]) {
    const answer = await exchange(nonsense);
    expect(answer, JSON.stringify(nonsense)).toMatch(/^HTTP\/1.1 400 .*"code":"malformed_/s);
  }
});

const GARBAGE = [
  "GARBAGE\u0001\r\n\r\n",
  "\u0000",
  "\r\n\r\nBAD\u0001\r\n\r\n",
  "GET / HTTP/9.9\r\n\r\n",
  "GET /?content=я HTTP/1.1\r\n\r\n",
];
const get = (content: string) => `GET /?content=${content} HTTP/1.1\r\nHost: x\r\n\r\n`;
const post = (body: string) => `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);

test.each(GARBAGE)("a request is answered before invalid bytes on the same connection: %j", async (garbage) => {
  expect(statuses(await exchange(get("a") + garbage))).toEqual(["200"]);
  expect(statuses(await exchange(post("abc") + garbage))).toEqual(["200"]);
  expect(statuses(await exchange(get("a") + post("b") + get("c") + garbage))).toEqual(["200", "200", "200"]);
  expect(await exchange(post("abc") + garbage)).toContain('"body":"abc"');
});

test("a request that is answered before its body is not refused for an invalid body", async () => {
  const chunked = (chunk: string) =>
    `GET /?content=a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`;

  expect(statuses(await exchange(chunked("zz\r\n")))).toEqual(["200"]);
  expect(statuses(await exchange(get("a") + chunked("zz\r\n")))).toEqual(["200", "200"]);
});

test("an invalid Host and HTTP/1.1 without Host are refused in JSON, and HTTP/1.0 needs none", async () => {
  const invalid = await exchange("GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n");
  const answer = await exchange("GET /?content=a HTTP/1.1\r\n\r\n");

  expect(invalid).toMatch(/^HTTP\/1.1 400 .*"code":"malformed_request"/s);
  expect(answer).toMatch(/^HTTP\/1.1 400 .*\r\nConnection: close\r\n.*"code":"malformed_request"/is);
  expect(await exchange("GET /?content=a HTTP/1.0\r\n\r\n")).toContain('"content":"61"');
});

test("a question about the whole server is one about the path /", async () => {
  const answer = await exchange("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

  expect(answer).toMatch(/^HTTP\/1.1 200 .*"method":"OPTIONS","path":"\/"/s);
});

test("an expectation that is unknown is ignored", async () => {
  const head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\nContent-Length: 1\r\nConnection: close\r\n\r\n";

  expect(await exchange(`${head}a`)).toMatch(/^HTTP\/1.1 200 .*"body":"a"/s);
});

test("CONNECT is refused in JSON, after the answers to earlier requests", async () => {
  const connectTo = "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n";
  const answer = await exchange(connectTo);

  expect(answer).toMatch(/^HTTP\/1.1 405 .*\r\nAllow: GET.*"code":"method_not_allowed"/s);
  expect(statuses(await exchange(get("a") + post("b") + connectTo))).toEqual(["200", "200", "405"]);
});

test("a request line over the limit is refused in JSON", async () => {
  expect(await exchange(`GET /?content=${"a".repeat(70_000)}${END}`)).toMatch(
    /^HTTP\/1.1 431 .*"code":"headers_too_large"/s,
  );
  expect(await exchange(`GET /?content=${"я".repeat(40_000)}${END}`)).toMatch(/^HTTP\/1.1 4\d\d /);
});
