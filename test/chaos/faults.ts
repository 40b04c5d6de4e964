import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { historyLeader, isHistoryOn } from "../support/history.ts";
import type { Link } from "../support/link.ts";
import { isRunning } from "../support/process.ts";
import { until } from "../support/wait.ts";
import { type ChaosCluster, connectionsOf, type RunningWorker, workerIdsOf, workersOf } from "./cluster.ts";
import { type ChaosNode, fillDisk } from "./nats-nodes.ts";
import type { Random } from "./random.ts";
import { TOKEN_LIFETIME_MS } from "./readers.ts";
import type { Part } from "./service-process.ts";

export type FaultContext = {
  readonly cluster: ChaosCluster;
  readonly random: Random;
  /** From now on, connections to these workers or channel servers may end. */
  concern(...names: readonly string[]): void;
  /** Waits until the readiness of these parts is red, and records how long that took. */
  untilRed(...parts: readonly Part[]): Promise<void>;
};

/** `run` injects the fault, waits, and removes it. */
export type Fault = {
  readonly name: string;
  /** Takes too long for a run of a few minutes. */
  readonly isLong?: boolean;
  /**
   * Oldest nats-server on which the suite injects it. After a node failed or was hard to reach, 2.9 may give one
   * sequence to two publications and acknowledge both. Then nothing can be asserted about its history.
   */
  readonly minServer?: string;
  /** Needs a NATS node with a small disk of its own. The suite mounts one where it may. */
  readonly needsDisk?: boolean;
  run(context: FaultContext): Promise<unknown>;
};

const HOLD_MS = 3_000;
/** Longer than the services take to notice a stalled connection. */
const LONG_HOLD_MS = 7_000;
/** Shares of the messages that the fault "NATS node loses messages" drops. */
const LOST_PUBLICATIONS = 1 / 5;
const LOST_ENTRIES = 1 / 50;
/** More than any leeway for the times of a token. */
const AN_HOUR_MS = 3_600_000;

/**
 * 2.9.10 lets the replicas of a stream differ when nodes fail under load, and 2.15.1 does not. Others were not tried.
 */
const REPLICAS_AGREE = "2.10.0";

/** Faults after which the replicas of the history may differ on an old nats-server. */
const replicaFaults: readonly Fault[] = [
  { name: "NATS node killed", run: (context) => onNode(context, killNode) },
  { name: "NATS node hangs", run: (context) => onNode(context, hangNode) },
  { name: "NATS nodes killed one after the other", isLong: true, run: (context) => onEachNode(context, killNode) },
  { name: "NATS nodes hang one after the other", isLong: true, run: (context) => onEachNode(context, hangNode) },
  { name: "history leader killed", run: (context) => onLeader(context, killNode) },
  { name: "history leader hangs", run: (context) => onLeader(context, hangNode) },
  {
    name: "history leader cut off from clients and nodes",
    run: (context) => onLeader(context, impair(allLinks, "stall")),
  },
  { name: "NATS node cut off from the others", run: (context) => onNode(context, impair(routeLinks, "cut")) },
  { name: "NATS node is silent to the others", run: (context) => onNode(context, impair(routeLinks, "stall")) },
  { name: "NATS node is slow to the others", run: (context) => onNode(context, impair(routeLinks, "slow")) },
  { name: "NATS node trickles to the others", run: (context) => onNode(context, impair(routeLinks, "trickle")) },
  { name: "NATS node stops as a lame duck", run: (context) => onNode(context, retireNode) },
  { name: "NATS node loses its storage", run: (context) => onNode(context, wipeNode) },
  { name: "disk of a NATS node full", needsDisk: true, run: fillNode },
  { name: "all NATS nodes killed", run: killAllNodes },
  { name: "all NATS nodes hang", run: hangAllNodes },
];

export const faults: readonly Fault[] = [
  { name: "worker killed", run: (context) => onWorker(context, killWorker) },
  { name: "worker hangs and goes on", run: (context) => onWorker(context, hangWorker) },
  { name: "worker hangs permanently", isLong: true, run: (context) => onWorker(context, hangWorkerPermanently) },
  { name: "supervisor killed", run: killSupervisor },
  { name: "supervisor hangs", run: (context) => hangPart(context, context.cluster.pushers) },
  { name: "rolling restart of the pushers", run: restartPushers },
  { name: "clocks of the pushers jump ahead", run: expireTokens },
  { name: "clocks of the pushers jump back", run: (context) => onWorker(context, killWorkerInThePast) },
  { name: "publisher killed", run: (context) => killPart(context, context.cluster.publishers) },
  { name: "publisher hangs", run: (context) => hangPart(context, context.cluster.publishers) },
  { name: "channel server killed", run: (context) => killPart(context, context.cluster.channels) },
  { name: "channel server hangs", run: (context) => hangPart(context, context.cluster.channels) },
  { name: "NATS node resets and refuses clients", run: (context) => onNode(context, impair(clientLinks, "cut")) },
  { name: "NATS node says nothing to clients", run: (context) => onNode(context, impair(clientLinks, "stall")) },
  { name: "NATS node is slow", run: (context) => onNode(context, impair(clientLinks, "slow")) },
  { name: "NATS node loses messages", run: (context) => onNode(context, loseMessages) },
  { name: "NATS node trickles", run: (context) => onNode(context, impair(clientLinks, "trickle")) },
  ...replicaFaults.map((fault) => ({ ...fault, minServer: REPLICAS_AGREE })),
];

async function onWorker(
  context: FaultContext,
  act: (worker: RunningWorker, pusher: Part, context: FaultContext) => Promise<unknown>,
): Promise<void> {
  const pusher = context.random.pick(context.cluster.pushers);
  const allWorkers = () =>
    until(
      "both workers answer",
      async () => {
        const workers = await workersOf(context.cluster, pusher);
        return workers.length === 2 && workers.sort((one, other) => one.pid - other.pid);
      },
      60_000,
    );
  const worker = context.random.pick(await allWorkers());
  await act(worker, pusher, context);
  await allWorkers();
}

async function killWorker({ id, pid }: RunningWorker, _pusher: Part, { concern }: FaultContext): Promise<void> {
  concern(id);
  process.kill(pid, "SIGKILL");
  await delay(HOLD_MS);
}

async function hangWorker({ pid }: RunningWorker, pusher: Part, { untilRed }: FaultContext): Promise<void> {
  process.kill(pid, "SIGSTOP");
  await untilRed(pusher);
  process.kill(pid, "SIGCONT");
}

/** Waits until the supervisor kills the hung worker. */
async function hangWorkerPermanently({ id, pid }: RunningWorker, pusher: Part, context: FaultContext): Promise<void> {
  context.concern(id);
  process.kill(pid, "SIGSTOP");
  await context.untilRed(pusher);
  await until("the process was killed", () => !isRunning(pid), 60_000);
}

/** All tokens expire: pushers close every connection and accept none until the clocks are right again. */
async function expireTokens({ cluster, concern }: FaultContext): Promise<void> {
  concern(...cluster.pushers.flatMap(workerIdsOf));
  await cluster.clock.shift(TOKEN_LIFETIME_MS + AN_HOUR_MS);
  await until("nobody is connected", async () => (await connectionsOf(cluster)) === 0, 60_000);
  await delay(HOLD_MS);
  await cluster.clock.shift(0);
}

/** No token is valid yet: open connections stay, and pushers refuse reconnects until the clocks are right again. */
async function killWorkerInThePast(worker: RunningWorker, pusher: Part, context: FaultContext): Promise<void> {
  const { clock } = context.cluster;
  await clock.shift(-AN_HOUR_MS);
  await delay(HOLD_MS);
  await killWorker(worker, pusher, context);
  await clock.shift(0);
}

async function killSupervisor({ cluster, random, concern, untilRed }: FaultContext): Promise<void> {
  const pusher = random.pick(cluster.pushers);
  concern(...workerIdsOf(pusher));
  pusher.kill("SIGKILL");
  await untilRed(pusher);
  await pusher.replace("SIGKILL");
}

async function restartPushers({ cluster, concern }: FaultContext): Promise<void> {
  for (const pusher of cluster.pushers) {
    concern(...workerIdsOf(pusher));
    await pusher.replace("SIGTERM");
  }
}

async function killPart({ random, concern, untilRed }: FaultContext, parts: readonly Part[]): Promise<void> {
  const part = random.pick(parts);
  concern(part.name);
  part.kill("SIGKILL");
  await untilRed(part);
  await part.replace("SIGKILL");
}

async function hangPart({ random, untilRed }: FaultContext, parts: readonly Part[]): Promise<void> {
  const part = random.pick(parts);
  part.kill("SIGSTOP");
  await untilRed(part);
  await delay(HOLD_MS);
  part.kill("SIGCONT");
}

function onNode({ cluster, random }: FaultContext, act: (node: ChaosNode) => Promise<unknown>): Promise<unknown> {
  return act(random.pick(cluster.nats.nodes));
}

/**
 * Waits after each node until all replicas are complete, because two of three incomplete ones would lose the history.
 */
async function onEachNode(
  { cluster, random }: FaultContext,
  act: (node: ChaosNode) => Promise<unknown>,
): Promise<void> {
  const { nodes } = cluster.nats;
  for (const node of random.shuffled(nodes)) {
    await act(node);
    await until("all nodes have the history", () => isHistoryOn(cluster.history.bus, nodes.length), 60_000);
  }
}

async function onLeader({ cluster }: FaultContext, act: (node: ChaosNode) => Promise<unknown>): Promise<void> {
  const leader = await until("the history has a leader", () => historyLeader(cluster.history.bus), 60_000);
  const node = cluster.nats.nodes.find(({ server }) => server.name === leader);
  if (node === undefined) throw new Error(`no node ${leader}`);
  await act(node);
}

async function killNode({ server }: ChaosNode): Promise<void> {
  await server.stop("SIGKILL");
  await delay(HOLD_MS);
  await server.restart();
}

async function hangNode({ server }: ChaosNode): Promise<void> {
  server.signal("SIGSTOP");
  await delay(LONG_HOLD_MS);
  server.signal("SIGCONT");
}

function clientLinks({ clients }: ChaosNode): readonly Link[] {
  return [clients];
}

/** With its routes to the other nodes impaired, a node still serves its clients. */
function routeLinks({ routes }: ChaosNode): readonly Link[] {
  return routes;
}

function allLinks({ routes, clients }: ChaosNode): readonly Link[] {
  return [...routes, clients];
}

function impair(
  linksOf: (node: ChaosNode) => readonly Link[],
  mode: "cut" | "stall" | "slow" | "trickle",
): (node: ChaosNode) => Promise<void> {
  return async (node) => {
    for (const link of linksOf(node)) link.set(mode);
    await delay(LONG_HOLD_MS);
    for (const link of linksOf(node)) link.set("pass");
  };
}

/** Drops some messages that the history republishes, and some of its entries. */
async function loseMessages({ clients }: ChaosNode): Promise<void> {
  clients.drop = (subject, message) => {
    if (message.includes("$JS.ACK.FANWIRE_HISTORY.")) return Math.random() < LOST_ENTRIES;
    const isRepublished = subject.startsWith("fanwire.live.") && message.includes("Nats-Stream: FANWIRE_HISTORY\r\n");
    return isRepublished && Math.random() < LOST_PUBLICATIONS;
  };
  await delay(LONG_HOLD_MS);
  clients.drop = () => false;
}

async function retireNode({ server }: ChaosNode): Promise<void> {
  await server.stop("SIGUSR2");
  await server.restart();
}

async function wipeNode({ server, folder }: ChaosNode): Promise<void> {
  await server.stop("SIGKILL");
  await rm(join(folder, "store"), { recursive: true });
  await server.restart();
}

/** After a failed write nats-server needs a restart to use JetStream again, and 2.9.10 may hang on SIGTERM. */
async function fillNode({ cluster }: FaultContext): Promise<void> {
  const node = cluster.nats.nodes.find(({ hasOwnDisk }) => hasOwnDisk);
  if (node === undefined) throw new Error("no node has a disk of its own");
  const makeRoom = await fillDisk(node);
  await delay(LONG_HOLD_MS);
  await makeRoom();
  await node.server.stop("SIGKILL");
  await node.server.restart();
}

async function killAllNodes({ cluster, untilRed }: FaultContext): Promise<void> {
  const { nodes } = cluster.nats;
  await Promise.all(nodes.map(({ server }) => server.stop("SIGKILL")));
  await untilRed(...cluster.parts);
  await Promise.all(nodes.map(({ server }) => server.restart()));
}

/** Connections to the nodes stay open but stall, so that only a probe shows the fault. */
async function hangAllNodes({ cluster, untilRed }: FaultContext): Promise<void> {
  const { nodes } = cluster.nats;
  for (const { server } of nodes) server.signal("SIGSTOP");
  await untilRed(...cluster.parts);
  for (const { server } of nodes) server.signal("SIGCONT");
}
