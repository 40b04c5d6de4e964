import { readFileSync } from "node:fs";
import { connect } from "@fanwire/client";
import { workerDescription } from "@fanwire/protocol";
import { VERSION } from "@fanwire/service";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { type ComposeCluster, type Container, missingEngine, startCompose } from "../support/compose.ts";
import { callApi, postPublication } from "../support/http-api.ts";
import { beginTest, endTest } from "../support/open-clients.ts";
import { connectPusherJs, subscribeJs } from "../support/pusher-client.ts";
import { answerOf, openPusherSdk } from "../support/pusher-sdk.ts";
import { connectRawClient, connectRawClients, type RawClient } from "../support/raw-client.ts";
import { until } from "../support/wait.ts";

const PUSHERS = 4;
const CONNECTIONS = 40;
const START_MS = 16 * 60_000;
const STOP_MS = 3 * 60_000;

const missing = missingEngine();
if (missing !== undefined) console.warn(`The compose cluster is not tested: ${missing}.`);

describe.skipIf(missing !== undefined)(
  `the compose cluster${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    let cluster: ComposeCluster;

    beforeAll(async () => {
      cluster = await startCompose({ pushers: PUSHERS, drainSeconds: 2 });
    }, START_MS);

    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
    }, STOP_MS);

    // Closes the clients of each test.
    beforeEach(beginTest);
    afterEach(endTest);

    const pusherUrl = () => `ws://${cluster.pusherAddress}/`;
    const publisher = () => ({ url: `http://${cluster.publisherAddress}` });

    it("spreads connections over all pushers, and delivers a publication once to each", async () => {
      const listeners = await listen(CONNECTIONS);

      await publish({ content: "привет" });

      await untilAllReceive(listeners, "привет");
      await untilAllArrived(listeners);
      expect(listeners.map((listener) => timesReceived(listener, "привет"))).toEqual(listeners.map(() => 1));
      const workerIds = new Set(listeners.map(({ workerId }) => workerId));
      expect(workerIds.size).toBe(PUSHERS);
      expect((await clusterWorkers()).map((worker) => worker.id).sort()).toEqual([...workerIds].sort());
    });

    it("delivers a publication to the ids of a greeting to that connection only", async () => {
      const listeners = await listen(CONNECTIONS);
      const [chosen, ...others] = listeners;
      if (chosen === undefined) throw new Error("nobody listens");

      await publish({ to_worker_id: chosen.workerId, to_connection_id: chosen.connectionId, content: "for you" });

      await untilAllReceive([chosen], "for you");
      await untilAllArrived(listeners);
      expect(timesReceived(chosen, "for you")).toBe(1);
      expect(addresses(others.filter((listener) => timesReceived(listener, "for you") > 0))).toEqual([]);
    });

    it("passes a request of the maximum length that a publisher accepts", async () => {
      const content = "щ".repeat(10_000); // 60,000 bytes of query
      const listeners = await listen(1);

      await publish({ content });

      await untilAllReceive(listeners, content);
    });

    it("serves pusher-js and an SDK on the port of the Pusher protocol, and nothing else", async () => {
      const base = `http://${cluster.appsAddress}`;
      using pusher = await connectPusherJs(base);
      const { events } = await subscribeJs(pusher, "private-orders");

      const sdk = openPusherSdk({ url: base });
      expect(await answerOf(sdk.trigger("private-orders", "paid", { total: 9 }))).toEqual({ status: 200, body: {} });

      await vi.waitFor(() => expect(events.at(-1)).toEqual({ event: "paid", data: { total: 9 } }), 10_000);
      expect((await fetch(`${base}/v1/cluster`)).status).toBe(404);
    });

    it.each([
      ["console", "/try", 2],
      ["docs", "/docs", 4],
    ])("serves the page of the %s at %s and all files that it loads", async (folder, path, count) => {
      const { url } = publisher();
      const page = await (await fetch(url + path)).text();

      const files = [...page.matchAll(/(?:src|href)="(\w+)\/([^"]+)"/g)].filter(([, name]) => name === folder);
      expect(files).toHaveLength(count);
      for (const [, , file] of files) expect((await fetch(`${url}/${folder}/${file}`)).status, file).toBe(200);
    });

    it("closes the connections of a stopped pusher with 1012, and accepts their reconnects elsewhere", async () => {
      const listeners = await listen(CONNECTIONS);
      const [container] = await cluster.containers("pusher");
      const stopped = (await clusterWorkers()).find((worker) => worker.host === container?.hostname);
      if (container === undefined || stopped === undefined) throw new Error("no pusher runs");
      const affected = listeners.filter(({ workerId }) => workerId === stopped.id);
      const others = listeners.filter(({ workerId }) => workerId !== stopped.id);

      const stopping = cluster.stop(container);
      // Each reconnects as soon as it is closed, while the pusher still closes the others.
      const returned = await Promise.all(
        affected.map(async (listener) => {
          expect((await until("the close", () => listener.close)).code).toBe(1012);
          return connectRawClient(pusherUrl());
        }),
      );
      await stopping;

      expect(affected.length).toBeGreaterThan(0);
      expect(await cluster.inspect(container, "{{.State.ExitCode}}")).toBe("0");
      expect(returned.map(({ workerId }) => workerId)).not.toContain(stopped.id);
      await publish({ content: "still here" });
      await untilAllReceive([...others, ...returned], "still here");
      expect(addresses(others.filter(({ close }) => close !== undefined))).toEqual([]);

      await cluster.start(container);
      await vi.waitFor(async () => expect(await clusterWorkers()).toHaveLength(PUSHERS), {
        timeout: 20_000,
        interval: 250,
      });
    });

    it("loses no durable publication in a rolling restart of the pushers, and every client has recovered", async () => {
      const before = await cluster.containers("pusher");
      const received: unknown[][] = [];
      const outcomes: (boolean | null)[] = [];
      const clients = Array.from({ length: 8 }, (_, at) => {
        const own: unknown[] = [];
        received[at] = own;
        return connect({
          url: pusherUrl(),
          WebSocket,
          topics: ["rolling"],
          onPublication: ({ data }) => own.push(data),
          onState: (state) => state.state === "open" && outcomes.push(state.recovered),
        });
      });
      await vi.waitFor(() => expect(outcomes).toHaveLength(clients.length), 10_000);

      const state = { isOver: false };
      const restarting = cluster.rollingRestart("pusher").finally(() => {
        state.isOver = true;
      });
      let published = 0;
      while (!state.isOver) {
        expect((await publishDurable("rolling", String(published))).status).toBe("stored");
        published++;
      }
      await restarting;

      const all = Array.from({ length: published }, (_, at) => String(at));
      await vi.waitFor(() => expect(received).toEqual(clients.map(() => all)), { timeout: 20_000, interval: 250 });
      for (const client of clients) client.close();
      const after = await cluster.containers("pusher");
      expect(after).toHaveLength(before.length);
      expect(after.map(({ id }) => id).filter((id) => before.some((each) => each.id === id))).toEqual([]);
      // The first connection of each client had no position.
      expect(outcomes.slice(clients.length).every((outcome) => outcome === true)).toBe(true);
      expect(outcomes.length).toBeGreaterThanOrEqual(2 * clients.length);
    });

    it("keeps all connections and publishes again within seconds when a NATS node stops", async () => {
      const listeners = await listen(CONNECTIONS);
      const node = await busiestNatsNode();

      await cluster.stop(node);

      let probes = 0;
      await vi.waitFor(
        async () => {
          probes++;
          await publish({ content: `probe ${probes}` });
          await untilAllReceive(listeners, `probe ${probes}`, 500);
        },
        { timeout: 15_000, interval: 100 },
      );
      await untilAllArrived(listeners);
      expect(listeners.map((listener) => timesReceived(listener, `probe ${probes}`))).toEqual(listeners.map(() => 1));
      expect(addresses(listeners.filter(({ close }) => close !== undefined))).toEqual([]);

      await cluster.start(node);
    });

    it("passes every setting to the services", async () => {
      const composeFile = readFileSync(new URL("../../docker-compose.yml", import.meta.url), "utf8");
      const handedOn = new Set(composeFile.match(/(?<=^ +)[A-Z][A-Z_]+(?=:)/gm));

      for (const service of ["pusher", "publisher"]) {
        const [container] = await cluster.containers(service);
        if (container === undefined) throw new Error(`no ${service} runs`);
        const help = await cluster.exec(container, "node", "dist/main.js", "--help");
        const settings = help.match(/(?<=^ {2})[A-Z][A-Z_]+/gm) ?? [];

        expect(settings).toContain("FANWIRE_NATS_URL");
        // The compose file decides how services connect to NATS, and HAProxy in front of them serves TLS.
        const missing = settings.filter((name) => !/^(FANWIRE_NATS|PUSHER_TLS)_/.test(name) && !handedOn.has(name));
        expect(missing, service).toEqual([]);
      }
    });

    it("runs every container without root, capabilities or a writable root, and publishes three ports on loopback", async () => {
      const containers = await cluster.containers();

      const published: string[] = [];
      for (const container of containers) {
        // The actual privileges of the process, not the requested ones.
        const status = await cluster.exec(container, ...PRINT_STATUS[hasShell(container) ? "shell" : "node"]);
        expect(status, container.service).toMatch(/^Uid:(\t[1-9]\d*){4}$/m);
        expect(status, container.service).toMatch(/^CapEff:\t0+$/m);
        expect(status, container.service).toMatch(/^CapBnd:\t0+$/m);
        expect(status, container.service).toMatch(/^NoNewPrivs:\t1$/m);
        expect(await cluster.inspect(container, "{{.HostConfig.ReadonlyRootfs}}"), container.service).toBe("true");
        const ports = await cluster.inspect(
          container,
          "{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}",
        );
        published.push(...ports.split(" ").filter((ip) => ip !== ""));
      }

      expect(new Set(containers.map((container) => container.service))).toEqual(
        new Set(["haproxy", "nats-1", "nats-2", "nats-3", "publisher", "pusher"]),
      );
      expect(published).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
    });

    it("has no program but Node in the images of the services", async () => {
      const services = (await cluster.containers()).filter((container) => !hasShell(container));
      const folders = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
      const list = `${JSON.stringify(folders)}.flatMap((path) => fs.existsSync(path) ? fs.readdirSync(path) : []).join()`;

      expect(services.length).toBeGreaterThan(PUSHERS);
      for (const container of services) expect(await cluster.exec(container, "node", "--print", list)).toBe("node");
    });

    it("serves the client for browsers from the images, and labels them", async () => {
      for (const address of [cluster.pusherAddress, cluster.publisherAddress]) {
        const response = await fetch(`http://${address}/client-${VERSION}.js`);
        expect(response.headers.get("cache-control"), address).toBe("public, max-age=31536000, immutable");
        expect(await response.text(), address).toMatch(/^\/\* @fanwire\/client .*export *\{/s);
      }

      const [pusher] = await cluster.containers("pusher");
      if (pusher === undefined) throw new Error("no pusher runs");
      expect(JSON.parse(await cluster.inspect(pusher, "{{json .Config.Labels}}"))).toMatchObject({
        "org.opencontainers.image.title": "fanwire-pusher",
        "org.opencontainers.image.version": "development",
        "org.opencontainers.image.revision": "unknown",
        "org.opencontainers.image.created": "unknown",
      });
    });

    it("stores a durable publication, and no service exceeds the permissions of its NATS user", async () => {
      expect(await publishDurable("kept", "x")).toMatchObject({ status: "stored", position: expect.any(String) });
      expect(await cluster.logs("nats-1", "nats-2", "nats-3")).not.toMatch(/violation|authorization/i);
      expect(await cluster.logs("nats-1")).toMatch(/route connection created/i);
    });

    const listen = (count: number) => connectRawClients(pusherUrl(), count);

    async function publish(query: Record<string, string>): Promise<void> {
      const response = await fetch(`${publisher().url}/?${new URLSearchParams(query)}`);
      expect({ status: response.status, body: await response.text() }).toEqual({ status: 200, body: "ok" });
    }

    async function publishDurable(topic: string, data: string) {
      return (await postPublication<{ status?: string }>(publisher(), { target: { topic }, data, durable: true })).body;
    }

    async function clusterWorkers() {
      const { body } = await callApi<{ workers: unknown }>(publisher(), "GET", "/v1/cluster");
      return workerDescription.array().parse(body.workers);
    }

    /** Waits until everything sent before has arrived, including repeats. */
    async function untilAllArrived(listeners: readonly RawClient[]): Promise<void> {
      // Retries, because one of the publishers may reconnect to NATS later than the other.
      await vi.waitFor(() => publish({ content: "the last one" }), { timeout: 15_000, interval: 100 });
      await untilAllReceive(listeners, "the last one");
    }

    async function busiestNatsNode(): Promise<Container> {
      const nodes = (await cluster.containers()).filter((container) => container.service.startsWith("nats-"));
      const counted = await Promise.all(
        nodes.map(async (node) => {
          const text = await cluster.exec(node, "wget", "-q", "-O", "-", "http://127.0.0.1:8222/varz");
          return { node, connections: Number(/"connections":\s*(\d+)/.exec(text)?.[1]) };
        }),
      );
      const [busiest] = counted.sort((a, b) => b.connections - a.connections);
      if (busiest === undefined || !(busiest.connections > 0)) throw new Error("no NATS node has connections");
      return busiest.node;
    }
  },
);

/** The images of NATS and HAProxy have a shell. Those of the services have only Node. */
const hasShell = ({ service }: Container) => /^(nats-|haproxy)/.test(service);
const PRINT_STATUS = {
  shell: ["cat", "/proc/1/status"],
  node: ["node", "--print", "fs.readFileSync('/proc/1/status', 'utf8')"],
};

async function untilAllReceive(listeners: readonly RawClient[], content: string, timeout = 10_000): Promise<void> {
  const hasNotReceived = (listener: RawClient) => timesReceived(listener, content) === 0;
  await vi.waitFor(() => expect(addresses(listeners.filter(hasNotReceived))).toEqual([]), { timeout });
}

const addresses = (listeners: readonly RawClient[]) => listeners.map(({ address }) => address);

/** Returns how many times this content arrived. */
const timesReceived = ({ frames }: RawClient, content: string) => frames.filter((frame) => frame === content).length;
