import { beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { metric, startPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { connectSocket, HANDSHAKE, writeSegment } from "../support/raw-socket.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1", PUSHER_TOKEN_SECRET: SECRET } });
let jwt: string;
beforeAll(async () => {
  jwt = await token("anna");
});

const token = (sub: string) => signToken({ sub, topics: ["a"] });
const httpUrl = (path: string) => new URL(path, pusher.url.replace("ws:", "http:")).href;

/** Returns the answer to these header lines, up to a needle. */
async function answerTo(lines: readonly string[], needle = "\r\n\r\n", url = pusher.url): Promise<string> {
  const raw = await connectSocket(url);
  raw.socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  await until(`an answer with ${JSON.stringify(needle)}`, () => raw.isClosed() || raw.received().includes(needle));
  raw.socket.destroy();
  return raw.received().toString();
}

/** Connects and returns the first frame, or the close code and reason. */
function attempt(query: string, protocols: string[] = [], headers: Record<string, string> = {}) {
  return new Promise<{ frame?: string; code?: number; reason?: string; protocol: string }>((resolve, reject) => {
    const socket = new WebSocket(`${pusher.url}${query}`, protocols, { headers });
    socket.on("message", (data) => {
      resolve({ frame: data.toString(), protocol: socket.protocol });
      socket.terminate();
    });
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString(), protocol: socket.protocol }));
    socket.on("error", reject);
  });
}

test("a token is accepted as a subprotocol, which is never selected", async () => {
  const welcomed = await attempt("?topic=a", ["fanwire.v1", `token.${jwt}`]);
  const turned = await attempt("?topic=a", [`token.${jwt}`, "fanwire.v1"]);
  const refused = await attempt("?topic=a", ["fanwire.v1", "token.garbage"]);
  const answer = await answerTo(
    [...HANDSHAKE, "Sec-WebSocket-Protocol: chat", `sec-websocket-protocol: token.${jwt}, fanwire.v1`],
    "welcome",
  );
  const rawAnswer = await answerTo(
    [...HANDSHAKE.with(0, "GET /?topic=a HTTP/1.1"), `Sec-WebSocket-Protocol: token.${jwt}`],
    "workerID",
  );

  expect(welcomed).toMatchObject({ frame: expect.stringContaining('"welcome"'), protocol: "fanwire.v1" });
  expect(turned).toMatchObject({ frame: expect.stringContaining('"welcome"'), protocol: "fanwire.v1" });
  expect(refused).toMatchObject({ code: 4401, protocol: "fanwire.v1" });
  expect(answer).toContain("Sec-WebSocket-Protocol: fanwire.v1\r\n");
  expect(answer).not.toContain(jwt);
  expect(rawAnswer).not.toMatch(/sec-websocket-protocol/i);
  expect(pusher.process.output()).not.toContain(jwt);
});

test("a token is accepted as Authorization: Bearer by SSE and WebSocket", async () => {
  const authorization = `Bearer ${jwt}`;

  const stream = await readEvents(httpUrl("/sse?topic=a"), { authorization });
  expect(stream.events()[0]?.event).toBe("fanwire.welcome");
  stream.close();
  expect(await attempt("?topic=a", [], { authorization })).toMatchObject({
    frame: expect.stringContaining("workerID"),
  });
  await expect(readEvents(httpUrl("/sse"), { authorization: "bearer garbage" })).rejects.toThrow("401");
  (await readEvents(httpUrl("/sse"), { authorization: "Basic YTpi" })).close();
});

test("one token in several places is accepted, different tokens are refused", async () => {
  const other = await token("bob");

  expect(await attempt(`?token=${jwt}&token=${jwt}`, ["fanwire.v1", `token.${jwt}`])).toMatchObject({
    frame: expect.stringContaining('"welcome"'),
  });
  const refused = { code: 4400, reason: "several different tokens" };
  expect(await attempt(`?token=${jwt}&token=${other}`)).toMatchObject(refused);
  expect(await attempt(`?token=${jwt}`, ["fanwire.v1", `token.${other}`])).toMatchObject(refused);
  expect(await attempt("", ["fanwire.v1", `token.${jwt}`], { authorization: `Bearer ${other}` })).toMatchObject(
    refused,
  );
  await expect(readEvents(httpUrl(`/sse?token=${jwt}`), { authorization: `Bearer ${other}` })).rejects.toThrow("400");
});

test("paths of other push servers are refused with a reason, every other path accepts the raw protocol", async () => {
  for (const [path, name] of [
    ["/app/key?protocol=7", "the Pusher protocol"],
    ["/socket.io/?EIO=4&transport=websocket", "Socket.IO"],
    ["/connection/websocket", "Centrifugo's protocol"],
    ["/cable", "Action Cable"],
  ]) {
    const error = `{"error":{"code":"not_found","message":"${name} is not served here"}}`;
    const answer = await answerTo(HANDSHAKE.with(0, `GET ${path} HTTP/1.1`), "}}");
    expect(answer).toContain("HTTP/1.1 404 Not Found\r\n");
    expect(answer).toContain(error);
    const polled = await fetch(httpUrl(path ?? ""), { method: "POST" });
    expect([polled.status, (await polled.text()).trim()]).toEqual([404, error]);
  }
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_refused_total", { reason: "path" })).toBe(4);

  for (const path of ["app", "chat/app/1", "ws", "sse"])
    (await connectRawClient(`${pusher.url}${path}`)).socket.close();
});

test("a handshake that violates RFC 6455 is refused with 426 or 400", async () => {
  const without = (name: string) => HANDSHAKE.filter((line) => !line.startsWith(`${name}:`));
  const refused = [
    ["Sec-WebSocket-Version", "8"],
    ["Upgrade", "h2c"],
    ["Connection", "keep-alive"],
    ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"],
  ].flatMap(([name = "", value]) => [without(name), [...without(name), `${name}: ${value}`]]);

  for (const lines of refused) {
    const answer = await answerTo(lines, "}}");
    expect(answer).toContain("HTTP/1.1 426 Upgrade Required\r\n");
    expect(answer).toContain("Sec-WebSocket-Version: 13\r\n");
    expect(answer).toContain("Upgrade: websocket\r\n");
    expect(answer).toContain('"code":"upgrade_required"');
  }
  const twoLines = ["Upgrade: h2c", "Upgrade: websocket", "Connection: keep-alive", "Connection: Upgrade"];
  const rest = HANDSHAKE.filter((line) => !/^(Upgrade|Connection):/.test(line));
  expect(await answerTo([...rest, ...twoLines], "workerID")).toContain("HTTP/1.1 101 Switching Protocols\r\n");
  const badKey = await answerTo([...without("Sec-WebSocket-Key"), "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="], "}}");
  expect(badKey).toContain("HTTP/1.1 400 Bad Request\r\n");
  expect(badKey).toContain('"code":"malformed_handshake"');
});

test("a request head in many TCP segments is accepted up to the configured size", async () => {
  await using small = await startPusher({
    nats: nats.url,
    env: { PUSHER_WORKERS: "2", PUSHER_MAX_HEADER_BYTES: "4096" },
  });
  const lines = [...HANDSHAKE, `Cookie: session=${"c".repeat(6_000)}`, `Authorization: Bearer ${jwt}`];
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
  const statusInPieces = async (url: string, maxBytes: number) => {
    const raw = await connectSocket(url);
    // The server refuses the segment that passes its limit and closes. Another segment would reset the connection, and
    // the answer would be lost.
    const sent = head.subarray(0, maxBytes + 1);
    for (let at = 0; at < sent.length; at += 1_400) await writeSegment(raw, sent.subarray(at, at + 1_400));
    await until("an answer", () => raw.isClosed() || raw.received().includes("\r\n"));
    raw.socket.destroy();
    return raw.received().toString().split("\r\n")[0];
  };

  expect(await statusInPieces(pusher.url, head.length)).toBe("HTTP/1.1 101 Switching Protocols");
  expect(await statusInPieces(small.url, 4_096)).toMatch(/^HTTP\/1\.1 431 /);
});
