import {
  type HistoryConfig,
  type JetStreamHistory,
  type NatsBus,
  openJetStreamHistory,
  startNatsBus,
} from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { createLog, type Log } from "@fanwire/service";

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

/** The history, on a connection of its own. */
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

/** What of its description by JetStream tells who has it. */
type HistoryCluster = { readonly leader?: string; readonly replicas?: readonly { readonly current: boolean }[] };

/** Name of the NATS node that leads the history; "" when nobody does, or none can be asked. */
export async function historyLeader(bus: NatsBus): Promise<string> {
  return (await historyCluster(bus)).leader ?? "";
}

/** Whether so many NATS nodes have all of the history, as its leader says. */
export async function isHistoryOn(bus: NatsBus, nodes: number): Promise<boolean> {
  const { leader, replicas = [] } = await historyCluster(bus);
  return Boolean(leader) && replicas.filter(({ current }) => current).length >= nodes - 1;
}

async function historyCluster(bus: NatsBus): Promise<HistoryCluster> {
  const outcome = await bus.request("$JS.API.STREAM.INFO.FANWIRE_HISTORY", Buffer.alloc(0), { timeoutMs: 5_000 });
  return outcome.ok ? (JSON.parse(Buffer.from(outcome.message.data).toString()).cluster ?? {}) : {};
}
