import { type Bus, type BusConfig, type HeaderEntries, type NatsBus, startNatsBus } from "@fanwire/bus";
import { type ControlRequest, Subjects, type WorkerDescription, workerDescription } from "@fanwire/protocol";
import { createLog, type Log } from "@fanwire/service";

export const subjects = new Subjects();

export type TestBus = NatsBus & AsyncDisposable;

/** Connects a bus to the NATS of the cluster. */
export function connectBus(...servers: string[]): Promise<TestBus> {
  return openBus({ servers });
}

/** Connects a bus, by default one with the settings of services on a NATS without users. */
export async function openBus(
  config: Pick<BusConfig, "servers"> & Partial<BusConfig>,
  log: Log = createLog("test", "silent"),
): Promise<TestBus> {
  const bus = await startNatsBus({
    config: { prefix: "fanwire", credentials: { kind: "none" }, tls: undefined, ...config },
    name: "test",
    log,
    signal: AbortSignal.timeout(20_000),
  });
  return Object.assign(bus, { [Symbol.asyncDispose]: () => bus.stop() });
}

/** Publishes to everyone and waits until NATS has it. */
export async function publishToEveryone(bus: Bus, content: string | Uint8Array): Promise<void> {
  const outcome = await bus.publish(subjects.live({ kind: "everyone" }), Buffer.from(content));
  if (!outcome.ok) throw new Error(`not published: ${outcome.reason}`);
}

/** Returns every worker that answers. */
export async function describeWorkers(bus: Bus): Promise<WorkerDescription[]> {
  const request = Buffer.from(JSON.stringify({ command: "describe" }));
  const gathered = await bus.gather(subjects.allWorkers, request, { stallMs: 300, maxWaitMs: 2_000 });
  if (!gathered.ok) throw new Error(gathered.reason);
  return gathered.messages.map(({ data }) => workerDescription.parse(JSON.parse(Buffer.from(data).toString())));
}

/** Publishes to a topic and waits until NATS has it. */
export async function publishToTopic(bus: Bus, topic: string, content: string | Uint8Array, headers?: HeaderEntries) {
  const outcome = await bus.publish(subjects.live({ kind: "topic", topic }), Buffer.from(content), headers);
  if (!outcome.ok) throw new Error(`not published: ${outcome.reason}`);
}

/** Sends a control request to one worker and returns the answer. */
export async function askWorker(bus: Bus, workerId: string, request: ControlRequest): Promise<unknown> {
  const outcome = await bus.request(subjects.worker(workerId), Buffer.from(JSON.stringify(request)), {
    timeoutMs: 2_000,
  });
  if (!outcome.ok) throw new Error(outcome.reason);
  return JSON.parse(Buffer.from(outcome.message.data).toString());
}
