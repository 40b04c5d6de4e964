import { type JetStreamLog, type LogConfig, type NatsBus, openJetStreamLog, startNatsBus } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { createLog, type Log } from "@fanwire/service";

const defaultLogConfig: LogConfig = {
  maxAgeSeconds: 3_600,
  maxPerSubject: 1_000,
  maxBytes: 64 * 1_048_576,
  replicas: 1,
};

export type TestLog = AsyncDisposable & {
  readonly bus: NatsBus;
  readonly log: JetStreamLog;
  readonly subjects: Subjects;
};

type TestLogOptions = {
  readonly servers: readonly string[];
  readonly config?: Partial<LogConfig>;
  readonly prefix?: string;
  readonly logger?: Log;
  readonly user?: string;
};

/** The log, on a connection of its own. */
export async function openLog({ servers, config, prefix = "fanwire", logger, user }: TestLogOptions): Promise<TestLog> {
  const log = logger ?? createLog("test", "silent");
  const subjects = new Subjects(prefix);
  const credentials = user === undefined ? { kind: "none" as const } : { kind: "user" as const, user, password: "p" };
  const bus = await startNatsBus({
    config: { servers, prefix, credentials, tls: undefined },
    name: "test log",
    log,
    signal: AbortSignal.timeout(20_000),
  });
  const opened = await openJetStreamLog({ bus, subjects, config: { ...defaultLogConfig, ...config }, log });
  return { bus, log: opened, subjects, [Symbol.asyncDispose]: () => bus.stop() };
}

/** What of its description by JetStream tells who has it. */
type LogCluster = { readonly leader?: string; readonly replicas?: readonly { readonly current: boolean }[] };

/** Name of the NATS node that leads the log; "" when nobody does, or none can be asked. */
export async function logLeader(bus: NatsBus): Promise<string> {
  return (await logCluster(bus)).leader ?? "";
}

/** Whether so many NATS nodes have all of the log, as its leader says. */
export async function isLogOn(bus: NatsBus, nodes: number): Promise<boolean> {
  const { leader, replicas = [] } = await logCluster(bus);
  return Boolean(leader) && replicas.filter(({ current }) => current).length >= nodes - 1;
}

async function logCluster(bus: NatsBus): Promise<LogCluster> {
  const outcome = await bus.request("$JS.API.STREAM.INFO.FANWIRE_LOG", Buffer.alloc(0), { timeoutMs: 5_000 });
  return outcome.ok ? (JSON.parse(Buffer.from(outcome.message.data).toString()).cluster ?? {}) : {};
}
