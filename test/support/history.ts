import { type HistoryConfig, type JetStreamHistory, type NatsBus, openJetStreamHistory } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { createLog, type Log } from "@fanwire/service";
import { openBus } from "./bus.ts";
import { askStream, type StreamAnswer } from "./jetstream.ts";
import { startNats } from "./nats.ts";
import type { TestNatsCluster } from "./nats-cluster.ts";
import { until } from "./wait.ts";

const defaultHistoryConfig: HistoryConfig = {
  maxAgeSeconds: 3_600,
  maxPerSubject: 1_000,
  maxBytes: 64 * 1_048_576,
  replicas: 1,
};

export type TestHistory = AsyncDisposable & {
  readonly bus: NatsBus;
  readonly history: JetStreamHistory;
  readonly subjects: Subjects;
};

type TestHistoryOptions = {
  readonly servers: readonly string[];
  readonly config?: Partial<HistoryConfig>;
  readonly prefix?: string;
  readonly logger?: Log;
  readonly user?: string;
};

/** Opens the history on a new connection. */
export async function openHistory({
  servers,
  config,
  prefix = "fanwire",
  logger: log = createLog("test", "silent"),
  user,
}: TestHistoryOptions): Promise<TestHistory> {
  const subjects = new Subjects(prefix);
  const credentials = user === undefined ? { kind: "none" as const } : { kind: "user" as const, user, password: "p" };
  const bus = await openBus({ servers, prefix, credentials }, log);
  const opened = await openJetStreamHistory({ bus, subjects, config: { ...defaultHistoryConfig, ...config }, log });
  return { bus, history: opened, subjects, [Symbol.asyncDispose]: () => bus.stop() };
}

/** Starts a NATS server and opens the history on it. */
export async function startHistory(config: Partial<HistoryConfig> = {}): Promise<TestHistory> {
  const nats = await startNats();
  const opened = await openHistory({ servers: [nats.url], config });
  const dispose = async () => {
    await opened[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
  };
  return { ...opened, [Symbol.asyncDispose]: dispose };
}

/** Returns the NATS node that leads the history. Undefined without a leader or an answer. */
export async function historyLeader(bus: NatsBus): Promise<string | undefined> {
  return (await historyNodes(bus)).leader || undefined;
}

/** Kills the NATS node that leads the history. Resolves with its name when another one leads. */
export async function killHistoryLeader(cluster: TestNatsCluster, bus: NatsBus): Promise<string> {
  const killed = await until("the history has a leader", () => historyLeader(bus));
  await cluster.node(killed).stop("SIGKILL");
  await until(
    "another node leads",
    async () => {
      const leader = await historyLeader(bus);
      return leader !== undefined && leader !== killed;
    },
    30_000,
  );
  return killed;
}

/** Returns whether `nodes` NATS nodes have the complete history, by its leader. */
export async function isHistoryOn(bus: NatsBus, nodes: number): Promise<boolean> {
  const { leader, replicas = [] } = await historyNodes(bus);
  return Boolean(leader) && replicas.filter(({ current }) => current).length >= nodes - 1;
}

async function historyNodes(bus: NatsBus): Promise<NonNullable<StreamAnswer["cluster"]>> {
  const { cluster = {} } = await askStream(bus, "INFO.FANWIRE_HISTORY").catch((): StreamAnswer => ({}));
  return cluster;
}
