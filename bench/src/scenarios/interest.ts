import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Subjects } from "@fanwire/protocol";
import type { Child } from "../children.ts";
import { nowMicros } from "../clock.ts";
import { type Column, compare, type Measured } from "../comparison.ts";
import { cpuTimeOf, totalMicros } from "../cpu.ts";
import { grouped, percent, twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { residentBytes } from "../memory.ts";
import { startMeter } from "../meter.ts";
import { NatsSocket } from "../nats-socket.ts";
import { measureRounds } from "../rounds.ts";
import { untilOpen } from "../servers/nats-websocket.ts";
import { freePort } from "../servers/ports.ts";
import type { Scenario } from "./scenario.ts";

type Sample = Measured & {
  bytesPerSubscriptionHere: number;
  bytesPerSubscriptionThere: number;
  microsPerSubscription: number;
  secondsUntilThere: number;
  microsPerCopy: number;
};
type Contestant = { name: string; subscriptions: number };
type Node = Child & { port: number };

/** Workers that all receive the same publication. */
const WORKERS = 100;
const subjects = new Subjects();

const columns: readonly Column<Sample>[] = [
  { title: "bytes/subscription, own node", of: (sample) => sample.bytesPerSubscriptionHere, show: grouped },
  { title: "bytes/subscription, other node", of: (sample) => sample.bytesPerSubscriptionThere, show: grouped },
  { title: "CPU µs/subscription, both", of: (sample) => sample.microsPerSubscription, show: twoDigits },
  { title: "s until the other node knew", of: (sample) => sample.secondsUntilThere, show: twoDigits },
  { title: "CPU µs/publication and worker", of: (sample) => sample.microsPerCopy, show: twoDigits },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: percent },
];

/** Cost of topics and workers for NATS: two nodes with a route, all subscriptions on one of them. */
export const interest: Scenario = {
  name: "interest",
  summary: "100,000 and 1,000,000 topics subscribed on one of two NATS nodes; 100 workers that receive the same",
  connections: () => WORKERS,
  run: async (lab, settings) => {
    const scale = settings.size === "quick" ? 100 : 1;
    const contestants = [100_000, 1_000_000].map((count) => ({
      name: `${grouped(count / scale)} topics`,
      subscriptions: count / scale,
    }));
    const publications = settings.size === "quick" ? 100 : 10_000;
    const rounds = await measureRounds(
      contestants,
      { label: "interest", settings },
      {
        measure: (contestant) => measure(lab, contestant, publications),
        inShort: (sample) => `${grouped(sample.bytesPerSubscriptionThere)} bytes/subscription on the other node`,
      },
    );
    const heading = `two nats-servers with a route; then ${grouped(publications)} publications to ${WORKERS} workers`;
    return compare({ name: "interest", heading, contestants, rounds, columns, load: { contestants, WORKERS } });
  },
};

async function measure(lab: Lab, { subscriptions }: Contestant, publications: number): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), "fanwire-bench-interest-"));
  const routePort = await freePort();
  const here = await startNode(lab, folder, "here", `listen: "127.0.0.1:${routePort}"`);
  const there = await startNode(
    lab,
    folder,
    "there",
    `routes: ["nats://127.0.0.1:${routePort}"], listen: "127.0.0.1:-1"`,
  );
  const worker = await NatsSocket.connect(here.port);
  const publisher = await NatsSocket.connect(there.port);
  try {
    worker.write("SUB warm 0\r\n");
    await untilReceived(publisher, worker, "warm");
    const before = { here: residentBytes(here.pid), there: residentBytes(there.pid) };
    const cpuBefore = totalMicros(cpuTimeOf(here.pid)) + totalMicros(cpuTimeOf(there.pid));
    const startedAt = nowMicros();
    for (let first = 0; first < subscriptions; first += 10_000) {
      const count = Math.min(10_000, subscriptions - first);
      const lines = Array.from({ length: count }, (_, at) => `SUB ${topic(first + at)} ${first + at + 1}\r\n`);
      worker.write(lines.join(""));
      await worker.flush();
    }
    await untilReceived(publisher, worker, topic(subscriptions - 1));
    const knownAt = nowMicros();
    const cpu = totalMicros(cpuTimeOf(here.pid)) + totalMicros(cpuTimeOf(there.pid)) - cpuBefore;
    const copies = await measureCopies(lab, here, publications);
    return {
      bytesPerSubscriptionHere: (residentBytes(here.pid) - before.here) / subscriptions,
      bytesPerSubscriptionThere: (residentBytes(there.pid) - before.there) / subscriptions,
      microsPerSubscription: cpu / subscriptions,
      secondsUntilThere: (knownAt - startedAt) / 1_000_000,
      ...copies,
      fault: undefined,
    };
  } finally {
    worker.close();
    publisher.close();
    await Promise.all([here.stop(), there.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every publication to each of many workers of one node. */
async function measureCopies(lab: Lab, node: Node, publications: number) {
  const everyone = subjects.live({ kind: "everyone" });
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => NatsSocket.connect(node.port)));
  const publisher = await NatsSocket.connect(node.port);
  for (const worker of workers) worker.write(`SUB ${everyone} 1\r\n`);
  await Promise.all(workers.map((worker) => worker.flush()));
  const stopMeter = startMeter(node.pid, lab);
  const line = `PUB ${everyone} 100\r\n${"x".repeat(100)}\r\n`;
  for (let sent = 0; sent < publications; sent += 100) {
    publisher.write(line.repeat(100));
    await publisher.flush();
  }
  while (workers.some(({ messages }) => messages < publications)) await delay(5);
  const { server, foreignLoad } = stopMeter();
  for (const socket of [...workers, publisher]) socket.close();
  return { microsPerCopy: totalMicros(server) / (publications * WORKERS), foreignLoad };
}

async function startNode(lab: Lab, folder: string, name: string, cluster: string): Promise<Node> {
  const port = await freePort();
  const file = join(folder, `${name}.conf`);
  writeFileSync(
    file,
    `server_name: ${name}\nlisten: "127.0.0.1:${port}"\nmax_pending: 268435456\ncluster { name: bench, ${cluster} }\n`,
  );
  const child = lab.children.start(`nats-server ${name}`, "nats-server", ["-c", file], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  await Promise.race([untilOpen(port), child.died]);
  return { ...child, port };
}

async function untilReceived(publisher: NatsSocket, worker: NatsSocket, subject: string): Promise<void> {
  const before = worker.messages;
  while (worker.messages === before) {
    publisher.write(`PUB ${subject} 1\r\nx\r\n`);
    await delay(10);
  }
}

function topic(number: number): string {
  return subjects.live({ kind: "topic", topic: `topic-${number}` });
}
