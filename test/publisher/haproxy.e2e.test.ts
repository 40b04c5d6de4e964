import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestPublisher, TestPusher } from "../support/cluster.ts";
import { openEvents } from "../support/event-stream.ts";
import { freePorts } from "../support/free-ports.ts";
import { postPublication } from "../support/http-api.ts";
import { startProcess, type TestProcess } from "../support/process.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusherJs, subscribeJs } from "../support/pusher-client.ts";
import { answerOf, openPusherSdk } from "../support/pusher-sdk.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import { connectSocket, HANDSHAKE } from "../support/raw-socket.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const hasHaproxy = spawnSync("haproxy", ["-v"]).status === 0;
const addressOf = ({ url, adminUrl }: TestPusher | TestPublisher) =>
  `127.0.0.1:${new URL(url).port} check port ${new URL(adminUrl).port}`;

/** Returns the configuration of the compose file, with services on this machine. */
async function localConfig(ports: readonly number[], pusher: TestPusher, publisher: TestPublisher): Promise<string> {
  const config = await readFile(new URL("../../deploy/haproxy.cfg", import.meta.url), "utf8");
  const [websocket, http, internal, apps] = ports;
  return config
    .replace(/^resolvers containers\n( .*\n)*/m, "")
    .replace(" resolvers containers resolve-prefer ipv4 init-addr none", "")
    .replace("fd-hard-limit 500000", "fd-hard-limit 1000")
    .replace("bind :4236", `bind 127.0.0.1:${websocket}`)
    .replace("bind :4237", `bind 127.0.0.1:${http}`)
    .replace("bind :6001", `bind 127.0.0.1:${apps}`)
    .replace("bind :8404", `bind 127.0.0.1:${internal}`)
    .replace(/server-template pusher-.*/, `server pusher ${addressOf(pusher)}`)
    .replace(/server-template publisher-.*/, `server publisher ${addressOf(publisher)}`);
}

describe.skipIf(!hasHaproxy)("behind the compose file's HAProxy", () => {
  let folder: string;
  const { pusher, publisher } = useCluster({
    pusher: { PUSHER_WORKERS: "1", ...pusherAppsEnv() },
    publisher: pusherAppsEnv(),
  });
  let haproxy: TestProcess;
  let client: RawClient;
  let ports: number[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "fanwire-haproxy-"));
    ports = await freePorts(4);
    await writeFile(join(folder, "haproxy.cfg"), await localConfig(ports, pusher, publisher));
    haproxy = startProcess("haproxy", ["-f", join(folder, "haproxy.cfg")]);
    await until("both services are ready", async () => {
      if (haproxy.end()) throw new Error(`haproxy ended:\n${haproxy.output()}`);
      return (await fetch(`http://127.0.0.1:${ports[2]}/healthz`).catch(() => undefined))?.status === 200;
    });
    client = await connectRawClient(`ws://127.0.0.1:${ports[0]}/`);
  });
  afterAll(async () => {
    client.socket.terminate();
    await haproxy[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** Sends bytes, and returns everything that HAProxy sends until it closes the connection. */
  function exchange(port = 0, bytes: Buffer | string): Promise<string> {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.write(bytes);
    return text(socket);
  }

  const END = " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

  /**
   * Asks on a new connection. If a server dies, HAProxy closes connections that have asked it before without an answer,
   * because it expects a client to retry there.
   */
  async function ask(port: number | undefined, path: string) {
    const answer = await exchange(port, `GET ${path}${END}`);
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    return { status: Number(head.split(" ")[1]), head: head.toLowerCase(), body: JSON.parse(body) };
  }

  test("a query of raw UTF-8 or other bytes is published unchanged", async () => {
    const answers = [
      await exchange(ports[1], `GET /?content=привет${END}`),
      await exchange(ports[1], Buffer.concat([Buffer.from("GET /?content="), Buffer.from([0xff]), Buffer.from(END)])),
    ];

    expect(answers.map((answer) => answer.split("\r\n")[0])).toEqual(["HTTP/1.1 200 OK", "HTTP/1.1 200 OK"]);
    await until("both publications arrive", () => client.frames.length === 2);
    expect(client.frames[0]).toBe("привет");
  });

  test("a topic of raw UTF-8 in the query of a WebSocket is subscribed to", async () => {
    const { socket, received } = await connectSocket(`ws://127.0.0.1:${ports[0]}`);
    const [, ...headers] = HANDSHAKE;
    socket.write(`${["GET /?topic=привет HTTP/1.1", ...headers].join("\r\n")}\r\n\r\n`);
    await until("the greeting", () => received().includes("workerID"));

    await postPublication(
      { url: `http://127.0.0.1:${ports[1]}` },
      { target: { topic: "привет" }, data: "to the topic" },
    );

    await until("the publication", () => received().includes("to the topic"));
  });

  test("HAProxy answers what it cannot read as HTTP itself, and everything else in JSON", async () => {
    const large = `GET /?content=${"a".repeat(80_000)}${END}`;

    for (const bytes of ["no HTTP\r\n\r\n", large]) {
      for (const port of ports.filter((_, at) => at !== 2)) {
        expect(await exchange(port, bytes)).toMatch(/^HTTP\/1.1 400 .*Content-Type: text\/html/is);
      }
    }
  });

  test("a pusher-js client and an SDK of backends share one port", async () => {
    using pusher = await connectPusherJs(`http://127.0.0.1:${ports[3]}`);
    const { events } = await subscribeJs(pusher, "private-orders");
    const sdk = openPusherSdk({ url: `http://127.0.0.1:${ports[3]}` });

    const answers = [
      await answerOf(sdk.trigger("private-orders", "paid", { total: 9 })),
      await answerOf(sdk.get({ path: "/channels", params: { filter_by_prefix: "private-" } })),
    ];

    expect(answers.map(({ body }) => body)).toEqual([{}, { channels: { "private-orders": {} } }]);
    await until("the event", () => events.some(({ event }) => event === "paid"));
    expect(events.at(-1)).toEqual({ event: "paid", data: { total: 9 } });
  });

  const statusOf = async (path: string) =>
    (await exchange(ports[3], `GET ${path}${END}`)).split("\r\n")[0]?.split(" ")[1];

  test("the port of the Pusher protocol serves its paths only", async () => {
    const refused = ["/", "/?content=x", "/v1/cluster", "/docs", "/sse", "/application", "/apps", "/APPS/1001/events"];
    const leaving = ["/apps/../v1/cluster", "/apps/%2e%2E/v1/cluster", "/apps/.%2e/v1/cluster", "/app/x/../../docs"];

    for (const path of [...refused, ...leaving]) expect([path, await statusOf(path)]).toEqual([path, "404"]);
    for (const path of [String.raw`/apps/..\v1/cluster`, "/apps/.\t./v1/cluster", "/apps/..#", "/apps/.%2E#/x"]) {
      expect([path, await statusOf(path)]).toEqual([path, expect.stringMatching(/^40[04]$/)]);
    }
    expect(client.frames.some((frame) => frame === "x")).toBe(false);
  });

  test("raw UTF-8 in the request line passes the port of the Pusher protocol", async () => {
    expect(await statusOf("/app/key?client=привет")).toBe("426");
    expect(await statusOf("/apps/1001/channels/привет")).toBe("401");
  });

  test("HAProxy answers 503 in JSON when no pusher runs, and the end of a stream to an EventSource", async () => {
    await pusher.process.stop("SIGKILL");

    await until("the loss is detected", async () => {
      const { status, head } = await ask(ports[0], "/");
      expect(head).toContain("\r\ncontent-type: application/json\r\n");
      return status === 503 && head.includes("\r\nretry-after: 1\r\n");
    });
    // An EventSource would never reconnect after 503.
    const stream = await openEvents(`http://127.0.0.1:${ports[0]}/sse`);
    await until("the stream has ended", () => stream.hasEnded());
    expect(stream.response.headers).toMatchObject({
      "content-type": "text/event-stream",
      "access-control-allow-origin": "*",
    });
    expect(stream.events()).toEqual([]);
  });

  test("HAProxy answers 503 in JSON when no publisher runs", async () => {
    await publisher.process.stop("SIGKILL");

    await until("the loss is detected", async () => {
      const { status, head, body } = await ask(ports[1], "/?content=x");
      expect(["nats_unavailable", "unconfirmed"]).toContain(body.error.code);
      return status === 503 && head.includes("\r\nretry-after: 1\r\n");
    });
  });
});
