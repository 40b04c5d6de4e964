import {
  type HistoryConfig,
  type JetStreamHistory,
  type NatsBus,
  openJetStreamHistory,
  startNatsBus,
} from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { createLog, type Log } from "@fanwire/service";
import { startNats } from "./nats.ts";

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
  logger,
  user,
}: TestHistoryOptions): Promise<TestHistory> {
  const log = logger ?? createLog("test", "silent");
  const subjects = new Subjects(prefix);
  const credentials = user === undefined ? { kind: "none" as const } : { kind: "user" as const, user, password: "p" };
  const bus = await startNatsBus({
    config: { servers, prefix, credentials, tls: undefined },
    name: "test history",
    log,
    signal: AbortSignal.timeout(20_000),
  });
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

/** The part of the stream description that names its nodes. */
type HistoryCluster = { readonly leader?: string; readonly replicas?: readonly { readonly current: boolean }[] };

/** Returns the NATS node that leads the history, or "" without a leader or an answer. */
export async function historyLeader(bus: NatsBus): Promise<string> {
  return (await historyCluster(bus)).leader ?? "";
}

/** Returns whether `nodes` NATS nodes have the complete history, by its leader. */
export async function isHistoryOn(bus: NatsBus, nodes: number): Promise<boolean> {
  const { leader, replicas = [] } = await historyCluster(bus);
  return Boolean(leader) && replicas.filter(({ current }) => current).length >= nodes - 1;
}

async function historyCluster(bus: NatsBus): Promise<HistoryCluster> {
  const outcome = await bus.request("$JS.API.STREAM.INFO.FANWIRE_HISTORY", Buffer.alloc(0), { timeoutMs: 5_000 });
  return outcome.ok ? (JSON.parse(Buffer.from(outcome.message.data).toString()).cluster ?? {}) : {};
}
