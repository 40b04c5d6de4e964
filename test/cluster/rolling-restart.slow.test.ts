import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type ClientState, connect } from "@fanwire/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { startBalancer } from "../support/balancer.ts";
import { startPusher, type TestPusher } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { freePorts } from "../support/free-ports.ts";
import { useFolder } from "../support/packed.ts";
import { startProcess } from "../support/process.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const SCRIPT = fileURLToPath(new URL("../../deploy/rolling-restart.sh", import.meta.url));
const CLIENTS = 60;
const NAMES = ["one", "two"] as const;
type Name = (typeof NAMES)[number];

const { nats, history } = useCluster();
const [a = 0, b = 0, c = 0, d = 0] = await freePorts(4);
const ports = { one: { port: a, adminPort: b }, two: { port: c, adminPort: d } };
const pushers = {} as Record<Name, TestPusher>;
const folder = await useFolder();
const isStarting = new Set<Name>();

async function start(name: Name): Promise<void> {
  const { port, adminPort } = ports[name];
  const env = {
    PUSHER_PORT: String(port),
    PUSHER_ADMIN_PORT: String(adminPort),
    PUSHER_DRAIN_SECONDS: "1",
    PUSHER_WORKERS: "1",
  };
  pushers[name] = await startPusher({ nats: nats.url, env });
}

beforeAll(() => Promise.all(NAMES.map(start)));
afterAll(() => Promise.all(NAMES.map((name) => pushers[name][Symbol.asyncDispose]())));

const instances = () => NAMES.map((name) => `${name}=http://127.0.0.1:${ports[name].adminPort}`);
/** A command that asks this test to restart the instance, and ends when the instance has been started. */
const command = () => `touch ${folder}/$1; until [[ -f ${folder}/$1.started ]]; do sleep 0.1; done`;

/** Restarts the instances that the command asks for, until the script has ended. */
async function restartOnRequest(isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    for (const name of NAMES) {
      if (!existsSync(join(folder, name)) || isStarting.has(name)) continue;
      isStarting.add(name);
      await pushers[name].process.stop("SIGTERM");
      const started = start(name);
      writeFileSync(join(folder, `${name}.started`), "");
      await started;
    }
    await delay(20);
  }
}

test("a rolling restart under load loses no durable publication, and every client has recovered", async () => {
  await using balancer = await startBalancer(() => NAMES.map((name) => ports[name].port));
  const clients = Array.from({ length: CLIENTS }, () => {
    const received: unknown[] = [];
    const states: ClientState[] = [];
    const client = connect({
      url: `ws://127.0.0.1:${balancer.port}/`,
      WebSocket,
      topics: ["t"],
      onPublication: ({ data }) => received.push(data),
      onState: (state) => states.push(state),
    });
    return { client, received, states };
  });
  await until("all clients are open", () => clients.every(({ client }) => client.state === "open"));

  const script = startProcess("bash", [SCRIPT, "--pause", "2", "command", command(), ...instances()]);
  const restarts = restartOnRequest(() => script.end() !== undefined);
  let published = 0;
  while (script.end() === undefined) {
    await history.append(topic("t"), String(published++));
    await delay(2);
  }
  await restarts;

  expect(script.exit()?.code).toBe(0);
  expect(script.output().match(/ready/g)).toHaveLength(2);
  const all = Array.from({ length: published }, (_, at) => String(at));
  await until("every client has everything", () => clients.every(({ received }) => received.length >= published));
  for (const { received } of clients) expect(received).toEqual(all);
  const recovered = clients.map(({ states }) =>
    states.flatMap((state) => (state.state === "open" ? [state.recovered] : [])),
  );
  // The first connection of each had no position. Each was on one of the pushers, so each has reconnected.
  for (const [first, ...later] of recovered) {
    expect(first).toBe(null);
    expect(later.length).toBeGreaterThan(0);
    expect(later.every((outcome) => outcome === true)).toBe(true);
  }
  console.log(`${published} durable publications, ${recovered.flat().length - CLIENTS} reconnections, all recovered`);
  for (const { client } of clients) client.close();
});

test("the script stops at an instance that does not restart or is not ready, and names it", async () => {
  const run = async (...args: string[]) => {
    const script = startProcess("bash", [SCRIPT, ...args]);
    await until("the script ends", () => script.end());
    return { code: script.exit()?.code, output: script.output() };
  };
  const log = join(folder, "log");

  expect(await run("--timeout", "1", "command", `echo $1 >> ${log}`, ...instances())).toMatchObject({
    code: 1,
    output: expect.stringMatching(/one is not ready after 1 s: ready/),
  });
  expect(await run("command", "exit 3", ...instances())).toMatchObject({
    code: 1,
    output: expect.stringMatching(/the restart of one failed/),
  });
  expect(await run("command", `echo $1 >> ${log}`, ...instances(), "three=http://127.0.0.1:9")).toMatchObject({
    code: 1,
    output: expect.stringMatching(/three is not ready, so one is not restarted/),
  });
  expect(await run("--dry-run", "command", "exit 3", ...instances())).toMatchObject({ code: 0 });
  expect(await run("command", "exit 3", "one")).toMatchObject({ code: 1, output: expect.stringMatching(/not NAME=/) });
  expect(await run("restart")).toMatchObject({ code: 1, output: expect.stringMatching(/--help/) });
});
