import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestPublisher, TestPusher } from "../support/cluster.ts";
import { freePorts } from "../support/free-ports.ts";
import { startProcess, type TestProcess } from "../support/process.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusherJs, subscribeJs } from "../support/pusher-client.ts";
import { answerOf, openPusherSdk } from "../support/pusher-sdk.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const hasHaproxy = spawnSync("haproxy", ["-v"]).status === 0;
const portOf = (url: string) => new URL(url).port;

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
    .replace(
      /server-template pusher-.*/,
      `server pusher 127.0.0.1:${portOf(pusher.url)} check port ${portOf(pusher.adminUrl)}`,
    )
    .replace(
      /server-template publisher-.*/,
      `server publisher 127.0.0.1:${portOf(publisher.url)} check port ${portOf(publisher.adminUrl)}`,
    );
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

  async function exchange(port: number | undefined, bytes: Buffer | string): Promise<string> {
    const socket = connect({ port: port ?? 0, host: "127.0.0.1" });
    socket.write(bytes);
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    await once(socket, "close");
    return answer;
  }

  const END = " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

  test("a query of raw UTF-8 or other bytes is published unchanged", async () => {
    const answers = [
      await exchange(ports[1], `GET /?content=привет${END}`),
      await exchange(ports[1], Buffer.concat([Buffer.from("GET /?content="), Buffer.from([0xff]), Buffer.from(END)])),
    ];

    expect(answers.map((answer) => answer.split("\r\n")[0])).toEqual(["HTTP/1.1 200 OK", "HTTP/1.1 200 OK"]);
    await until("both publications arrive", () => client.frames.length === 2);
    expect(client.frames[0]).toBe("привет");
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
    for (const path of [String.raw`/apps/..\v1/cluster`, "/apps/.\t./v1/cluster"]) {
      expect([path, await statusOf(path)]).toEqual([path, expect.stringMatching(/^40[04]$/)]);
    }
    expect(client.frames.some((frame) => frame === "x")).toBe(false);
  });

  test("HAProxy answers 503 in JSON when no pusher runs", async () => {
    await pusher.process.stop("SIGKILL");

    await until("the loss is detected", async () => {
      const response = await fetch(`http://127.0.0.1:${ports[0]}/`);
      expect(response.headers.get("content-type")).toBe("application/json");
      return response.status === 503 && response.headers.get("retry-after") === "1";
    });
  });

  test("HAProxy answers 503 in JSON when no publisher runs", async () => {
    await publisher.process.stop("SIGKILL");

    await until("the loss is detected", async () => {
      const response = await fetch(`http://127.0.0.1:${ports[1]}/?content=x`);
      const { error } = (await response.json()) as { error: { code: string } };
      expect(["nats_unavailable", "unconfirmed"]).toContain(error.code);
      return response.status === 503 && response.headers.get("retry-after") === "1";
    });
  });
});
