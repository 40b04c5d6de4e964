import { parsePosition } from "@fanwire/protocol";
import { startService, type TestProcess } from "./process.ts";
import { until } from "./wait.ts";

type TestService = AsyncDisposable & { readonly process: TestProcess; readonly adminUrl: string };

export type TestPusher = TestService & {
  /** URL for WebSocket clients. */
  readonly url: string;
  /** URL for server-sent events. */
  readonly sseUrl: string;
};

export type TestPublisher = TestService & { readonly url: string };

/** Peers connect to `port`. */
export type TestChannel = TestService & { readonly port: number };

export type TestWebhooks = TestService;

type ServiceOptions = {
  readonly nats: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Source of another release. */
  readonly root?: string;
};

/** Starts a pusher process with two workers. Resolves when it is ready. */
export async function startPusher({ nats, env, root }: ServiceOptions): Promise<TestPusher> {
  const address = { PUSHER_HOST: "127.0.0.1", PUSHER_PORT: "0", PUSHER_ADMIN_PORT: "0" };
  const settings = { FANWIRE_NATS_URL: nats, ...address, PUSHER_WORKERS: "2", PUSHER_DRAIN_SECONDS: "0", ...env };
  const service = startService("pusher", settings, root);
  const adminUrl = `http://127.0.0.1:${await loggedPort(service, "admin port open")}`;
  const listening = env?.PUSHER_WORKERS === "1" ? "worker listening" : "all workers listening";
  const host = `127.0.0.1:${await loggedPort(service, listening)}`;
  const [url, sseUrl] = [`ws://${host}/`, `http://${host}/sse`];
  await untilReady(adminUrl);
  return { process: service, url, sseUrl, adminUrl, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}

/** Starts a publisher process. Resolves when it is ready. */
export async function startPublisher({ nats, env, root }: ServiceOptions): Promise<TestPublisher> {
  const settings = { FANWIRE_NATS_URL: nats, PUBLISHER_PORT: "0", PUBLISHER_ADMIN_PORT: "0", ...env };
  const service = startService("publisher", settings, root);
  const url = `http://127.0.0.1:${await loggedPort(service, "publisher listening")}`;
  const adminUrl = `http://127.0.0.1:${await loggedPort(service, "publisher listening", "adminPort")}`;
  await untilReady(adminUrl);
  return { process: service, url, adminUrl, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}

/**
 * Starts a channel server. Resolves when it is ready, or with `isReady: false`, for tests without NATS, when it
 * listens.
 */
export async function startChannel({
  nats,
  env,
  isReady = true,
}: ServiceOptions & { readonly isReady?: boolean }): Promise<TestChannel> {
  const settings = { FANWIRE_NATS_URL: nats, CHANNEL_PORT: "0", CHANNEL_ADMIN_PORT: "0", ...env };
  const service = startService("channel", settings);
  const adminUrl = `http://127.0.0.1:${await loggedPort(service, "channel server listening", "adminPort")}`;
  const port = await loggedPort(service, "channel server listening");
  if (isReady) await untilReady(adminUrl);
  return { process: service, port, adminUrl, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}

/** Starts a webhook sender. Resolves when it is ready. */
export async function startWebhooks({ nats, env }: ServiceOptions): Promise<TestWebhooks> {
  const service = startService("webhooks", { FANWIRE_NATS_URL: nats, WEBHOOKS_ADMIN_PORT: "0", ...env });
  const adminUrl = `http://127.0.0.1:${await loggedPort(service, "webhook sender started", "adminPort")}`;
  await untilReady(adminUrl);
  return { process: service, adminUrl, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}

export function untilReady(adminUrl: string): Promise<unknown> {
  let last = { status: 0, text: "" };
  return until(
    () => `${adminUrl} is ready; its last answer is ${last.status} ${last.text}`,
    async () => {
      last = await readiness(adminUrl);
      return last.status === 200;
    },
  );
}

/** Returns status and text of /readyz. The status is 0 if the service does not answer. */
export async function readiness(adminUrl: string): Promise<{ readonly status: number; readonly text: string }> {
  try {
    const response = await fetch(`${adminUrl}/readyz`);
    return { status: response.status, text: (await response.text()).trim() };
  } catch (error) {
    return { status: 0, text: String(error) };
  }
}

/** Reads a metric of a service now, as {@link metricIn} does. */
export async function metric(adminUrl: string, name: string, labels: Record<string, string> = {}): Promise<number> {
  return metricIn(await metricsText(adminUrl), name, labels);
}

/** Waits until all workers of a pusher have processed the history up to a position. */
export async function caughtUp({ adminUrl }: TestPusher, position: string): Promise<void> {
  const { sequence } = parsePosition(position) ?? { sequence: Number.POSITIVE_INFINITY };
  await until("the workers have processed the history", async () => {
    const lines = (await metricsText(adminUrl)).matchAll(/^fanwire_pusher_history_sequence\S* (\d+)$/gm);
    const sequences = [...lines].map(([, value]) => Number(value));
    return sequences.length > 0 && sequences.every((each) => each >= sequence);
  });
}

export function metricsText(adminUrl: string): Promise<string> {
  const read = async () => (await fetch(`${adminUrl}/metrics`)).text();
  // The service may close an idle connection in the moment in which it is used again.
  return read().catch(read);
}

/** Returns the sum over all series of one metric whose labels include `labels`. */
export function metricIn(text: string, name: string, labels: Record<string, string> = {}): number {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((pair) => line.includes(pair)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/** Waits for the log line with this message. Returns the port in it. */
function loggedPort(service: TestProcess, message: string, field = "port"): Promise<number> {
  return until(`a log line "${message}"`, () => {
    if (service.end()) throw new Error(`the service ended:\n${service.output()}`);
    const line = service.logLines().find(({ msg }) => msg === message);
    return line === undefined ? undefined : Number(line[field]);
  });
}
