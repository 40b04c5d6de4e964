import { createHash, createHmac } from "node:crypto";
import autocannon from "autocannon";
import { type Column, compare, type Measured } from "../comparison.ts";
import { encodeContent } from "../content.ts";
import { totalMicros } from "../cpu.ts";
import { grouped, percent, twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { startMeter } from "../meter.ts";
import { measureRounds } from "../rounds.ts";
import { startOverNats } from "../servers/own-process.ts";
import { startService } from "../servers/service.ts";
import type { Scenario } from "./scenario.ts";

type Sample = Measured & {
  publicationsPerSecond: number;
  cpuMicrosPerPublication: number;
  p50Millis: number;
  p99Millis: number;
  serverLoad: number;
};
type Api = { pid: number; port: number; stop(): Promise<void> };
type Contestant = {
  name: string;
  batch: number;
  callers: number;
  start(lab: Lab): Promise<Api>;
  /** Called at the start, because a signature has the time in it. */
  request(): Request;
};
type Request = { method: "POST"; path: string; body: string; headers: Record<string, string> };

const CALLERS = 50;
const BATCH = 1_000;
/** Enough to keep the publisher busy; more would wait for each other. */
const BATCH_CALLERS = 4;

const publication = { target: { everyone: true }, data: encodeContent(0, 0).toString() };
const headers = { "content-type": "application/json" };
const post = (body: unknown) => (): Request => ({
  method: "POST",
  path: "/v1/publications",
  body: JSON.stringify(body),
  headers,
});
const app = { id: "1", key: "bench-key", secret: "bench-secret" };

/** Signs an event as the Pusher SDKs do. The signature is valid for ten minutes. */
function signedEvent(): Request {
  const body = JSON.stringify({ name: "message", data: publication.data, channels: ["bench"] });
  const md5 = createHash("md5").update(body).digest("hex");
  const seconds = Math.floor(Date.now() / 1_000);
  const query = `auth_key=${app.key}&auth_timestamp=${seconds}&auth_version=1.0&body_md5=${md5}`;
  const path = `/apps/${app.id}/events`;
  const signature = createHmac("sha256", app.secret).update(`POST\n${path}\n${query}`).digest("hex");
  return { method: "POST", path: `${path}?${query}&auth_signature=${signature}`, body, headers };
}

const contestants: readonly Contestant[] = [
  { name: "bare", batch: 1, callers: CALLERS, start: startBare, request: post(publication) },
  { name: "publisher", batch: 1, callers: CALLERS, start: startPublisher, request: post(publication) },
  { name: "publisher, Pusher events", batch: 1, callers: CALLERS, start: startPublisher, request: signedEvent },
  {
    name: "publisher, batches",
    batch: BATCH,
    callers: BATCH_CALLERS,
    start: startPublisher,
    request: post(Array.from({ length: BATCH }, () => publication)),
  },
];

const columns: readonly Column<Sample>[] = [
  { title: "publications/s", of: (sample) => sample.publicationsPerSecond, show: grouped },
  { title: "rate", of: (sample) => sample.publicationsPerSecond, show: "ratio" },
  { title: "CPU µs/publication", of: (sample) => sample.cpuMicrosPerPublication, show: twoDigits },
  { title: "CPU", of: (sample) => sample.cpuMicrosPerPublication, show: "ratio" },
  { title: "p50 ms", of: (sample) => sample.p50Millis, show: twoDigits },
  { title: "p99 ms", of: (sample) => sample.p99Millis, show: twoDigits },
  { title: "server load", of: (sample) => sample.serverLoad, show: percent },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: percent },
];

export const publishApi: Scenario = {
  name: "publish-api",
  summary: `apps/publisher against bare hono and NATS, ${CALLERS} callers; singly and in batches of ${BATCH}`,
  connections: () => CALLERS,
  run: async (lab, settings) => {
    const seconds = settings.seconds ?? (settings.size === "quick" ? 1 : 5);
    const rounds = await measureRounds(
      contestants,
      { label: "publish-api", settings },
      {
        measure: (contestant) => measure(lab, contestant, seconds),
        inShort: ({ cpuMicrosPerPublication }) => `${cpuMicrosPerPublication.toFixed(2)} µs/publication`,
      },
    );
    return compare({
      name: "publish-api",
      heading: `contents of 100 bytes to everyone, each caller asks again after the answer, ${seconds} s`,
      contestants,
      rounds,
      columns,
      load: { callers: CALLERS, batchCallers: BATCH_CALLERS, seconds, batch: BATCH },
    });
  },
};

async function startBare(lab: Lab): Promise<Api> {
  const { pid, address, stop } = await startOverNats(lab, "bare-http");
  return { pid, port: address.port, stop };
}

function startPublisher(lab: Lab): Promise<Api> {
  return startService(lab, "publisher", { FANWIRE_PUSHER_APPS: JSON.stringify([app]) });
}

async function measure(lab: Lab, { batch, callers, start, request }: Contestant, seconds: number): Promise<Sample> {
  const api = await start(lab);
  const options = { url: `http://127.0.0.1:${api.port}`, connections: callers, requests: [request()] };
  try {
    await autocannon({ ...options, duration: Math.max(1, seconds / 5) });
    const stopMeter = startMeter(api.pid, lab);
    const result = await autocannon({ ...options, duration: seconds });
    const { server, serverLoad, foreignLoad, tookMicros } = stopMeter();
    const publications = result["2xx"] * batch;
    const failed = result.non2xx + result.errors + result.timeouts;
    return {
      publicationsPerSecond: (publications / tookMicros) * 1_000_000,
      cpuMicrosPerPublication: totalMicros(server) / publications,
      p50Millis: result.latency.p50,
      p99Millis: result.latency.p99,
      serverLoad,
      foreignLoad,
      fault: failed > 0 ? `${failed} requests failed` : undefined,
    };
  } finally {
    await api.stop();
  }
}
