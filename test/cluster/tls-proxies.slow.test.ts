import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Authority, createAuthority, hasOpenssl } from "../support/certificates.ts";
import { openEvents, readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, signer } from "../support/pusher-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { tlsProxies } from "../support/tls-proxies.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const NAME = "push.example";
const KEY = "an-api-key-of-the-test";
/** The address of the client, other than that of the proxies. */
const CLIENT = "127.0.0.2";
const LONG = "x".repeat(12_000);

const env = pusherAppsEnv();
const { pusher, publisher } = useCluster({
  pusher: { ...env, PUSHER_WORKERS: "1", PUSHER_TRUSTED_PROXIES: "127.0.0.1" },
  publisher: { ...env, PUBLISHER_API_KEYS: KEY },
});

let authority: Authority;
beforeAll(() => {
  authority = createAuthority();
});
afterAll(() => authority[Symbol.dispose]());

for (const { name, missing, start } of tlsProxies) {
  const reason = missing ?? (hasOpenssl ? undefined : "there is no openssl");
  if (reason !== undefined) console.warn(`${name} is not tested: ${reason}`);

  describe.skipIf(reason !== undefined)(`TLS by ${name}`, () => {
    let ca: Buffer;
    let proxy: Awaited<ReturnType<typeof start>>;
    beforeAll(async () => {
      ca = readFileSync(authority.caFile);
      proxy = await start({ pusher, publisher, certificate: authority.issue(`DNS:${NAME}`), ca });
    });
    afterAll(() => proxy?.[Symbol.asyncDispose]());

    const options = () => ({ ca, servername: NAME, localAddress: CLIENT });
    const headers = { Host: NAME };
    const url = (scheme: string, path = "") => `${scheme}://127.0.0.1:${proxy.port}/${path}`;
    const call = (method: string, path: string, body?: string, more: Record<string, string> = {}) =>
      callOver(url("https", path), { ...options(), method, headers: { ...headers, ...more } }, body);
    const api = (method: string, path: string, body?: unknown) =>
      call(method, path, JSON.stringify(body), {
        Authorization: `Bearer ${KEY}`,
        ...(body !== undefined && { "Content-Type": "application/json" }),
      });

    test("clients of every protocol connect, with long tokens, and receive what the API publishes", async () => {
      const raw = await connectRawClient(url("wss", `?topic=t&token=${LONG}`), headers, options());
      const fanwire = await connectFanwire(
        url("wss", "any/path"),
        { topic: "t", token: LONG },
        { ...options(), headers },
      );
      const stream = await readEvents(
        url("https", "sse?topic=t"),
        { ...headers, Authorization: `Bearer ${LONG}` },
        options(),
      );
      const pusherClient = await connectPusher(url("wss"), demoApp, { ...options(), headers });
      await pusherClient.subscribe("t");

      const answer = await api("POST", "v1/publications", { target: { topic: "t" }, data: "by the API" });
      expect(answer.status).toBe(200);
      const body = JSON.stringify({ name: "greeting", channel: "t", data: "by the Pusher API" });
      const path = `/apps/${demoApp.id}/events`;
      const query = signer().createSignedQueryString({ method: "POST", path, body, params: {} });
      const triggered = await call("POST", `${path.slice(1)}?${query}`, body, { "Content-Type": "application/json" });
      expect(triggered).toMatchObject({ status: 200 });

      const both = ["by the API", "by the Pusher API"];
      await until("all have both", () => {
        const events = pusherClient.frames.filter(({ event }) => event === "message" || event === "greeting");
        return [raw.frames, fanwire.data(), stream.data(), events].every((list) => list.length >= 2);
      });
      expect([raw.frames, fanwire.data(), stream.data()]).toEqual([both, both, both]);
    });

    test("the address of a client is its own, whatever it sends", async () => {
      const spoofed = { ...headers, "X-Forwarded-For": "198.51.100.1", Forwarded: "for=198.51.100.2" };
      const raw = await connectRawClient(url("wss"), spoofed, options());
      const stream = await readEvents(url("https", "sse"), spoofed, options());

      for (const address of [raw.address, stream.address()]) {
        const { text } = await api("GET", `v1/connections/${address}`);
        expect(JSON.parse(text)).toMatchObject({ remoteAddress: CLIENT });
      }
    });

    test("a client with HTTP/2 receives events at once, and WebSockets if the proxy offers them", async () => {
      const session = connectHttp2(url("https"), options());
      const stream = session.request({ ":path": "/sse?topic=h", ":authority": NAME });
      const text = textOf(stream);
      await until("the welcome", () => text().includes("fanwire.welcome"));
      expect(session.alpnProtocol).toBe("h2");
      await api("POST", "v1/publications", { target: { topic: "h" }, data: "at once" });
      await until("the event", () => text().includes("data: at once"));

      if (name === "haproxy") expect(session.remoteSettings.enableConnectProtocol).toBe(true);
      if (session.remoteSettings.enableConnectProtocol) expect(await greetingOver(session)).toMatch(/workerID:/);
      session.destroy();
    });

    test("an EventSource reconnects while no pusher is ready, and a WebSocket is refused", async () => {
      const away = { url: "http://127.0.0.1:1", adminUrl: "http://127.0.0.1:1" };
      await using alone = await start({ pusher: away, publisher, certificate: authority.issue(`DNS:${NAME}`), ca });
      const at = (path: string) => `https://127.0.0.1:${alone.port}/${path}`;

      const stream = await openEvents(at("sse?topic=t"), headers, options());
      await until("the stream has ended", () => stream.hasEnded());
      expect(stream.response.headers).toMatchObject({
        "content-type": expect.stringMatching(/^text\/event-stream/),
        "access-control-allow-origin": "*",
      });
      expect(stream.events()).toEqual([]);
      const refused = await callOver(at("app/key"), { ...options(), headers });
      expect([502, 503]).toContain(refused.status);
      if (name === "haproxy") expect(JSON.parse(refused.text)).toMatchObject({ error: { code: expect.any(String) } });
    });

    test("raw UTF-8 in the request line reaches pushers and publishers", async () => {
      for (const path of ["/sse?topic=привет", "/v1/topics/привет/members"]) {
        const socket = connectTls({ ...options(), host: "127.0.0.1", port: proxy.port });
        socket.write(`GET ${path} HTTP/1.1\r\nHost: ${NAME}\r\nAuthorization: Bearer ${KEY}\r\n\r\n`);
        const [answer] = await once(socket, "data");
        socket.destroy();
        expect(String(answer), path).toMatch(/^HTTP\/1\.1 200 /);
      }
    });
  });
}

type Call = { readonly status: number | undefined; readonly text: string };

async function callOver(url: string, options: object, body?: string): Promise<Call> {
  const [response] = await once(request(url, options).end(body), "response");
  return { status: response.statusCode, text: await text(response) };
}

function textOf(stream: ClientHttp2Stream): () => string {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

/** Opens a WebSocket as in RFC 8441, as browsers do if they already have a connection. */
async function greetingOver(session: ClientHttp2Session): Promise<string> {
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "https",
    ":path": "/",
    ":authority": NAME,
    "sec-websocket-version": "13",
  });
  const text = textOf(stream);
  await until("the greeting over HTTP/2", () => text().includes("workerID:"));
  return text();
}
