import { type Bus, parseJson } from "@fanwire/bus";
import { type Subjects, serviceDescription, type WorkerDescription, workerDescription } from "@fanwire/protocol";
import { VERSION } from "@fanwire/service";
import { type Finding, findingsOf } from "./finding.ts";

const report = findingsOf("services");
const STALL_MS = 500;
const MAX_WAIT_MS = 3_000;
/** A worker with a longer delay makes its clients wait. */
const LONG_DELAY_MS = 200;

type Described = Pick<WorkerDescription, "id" | "host" | "version" | "eventLoopDelayMs" | "history"> & {
  readonly kind: string;
};

/** Asks all workers and services that are connected to this NATS. */
export async function checkServices(bus: Bus, subjects: Subjects): Promise<Finding[]> {
  const [workers, services] = await Promise.all([
    ask(bus, subjects.allWorkers, { command: "describe", detailed: true }, (value) => {
      const parsed = workerDescription.safeParse(value).data;
      return parsed && { ...parsed, kind: "worker" };
    }),
    ask(bus, subjects.allServices, {}, (value) => serviceDescription.safeParse(value).data),
  ]);
  if (workers === "forbidden" || services === "forbidden") {
    return [report.skipped("this NATS user may not ask the services; use the user of the publisher or an operator")];
  }
  return [
    checkPresent(workers, services),
    ...checkVersions([...workers, ...services]),
    ...[...workers, ...services].flatMap(checkOne),
  ];
}

async function ask(
  bus: Bus,
  subject: string,
  request: object,
  parse: (value: unknown) => Described | undefined,
): Promise<Described[] | "forbidden"> {
  const options = { stallMs: STALL_MS, maxWaitMs: MAX_WAIT_MS };
  const outcome = await bus.gather(subject, Buffer.from(JSON.stringify(request)), options);
  if (!outcome.ok) return outcome.reason === "forbidden" ? "forbidden" : [];
  return outcome.messages.flatMap((message) => parse(parseJson(message)) ?? []);
}

function checkPresent(workers: readonly Described[], services: readonly Described[]): Finding {
  const publishers = services.filter(({ kind }) => kind === "publisher").length;
  const others = services.length - publishers;
  const message = `${workers.length} workers, ${publishers} publishers, ${others} other services answer`;
  if (workers.length > 0 && publishers > 0) return report.ok(message);
  return report.warning(message, "Start pushers and publishers with the same FANWIRE_NATS_URL and FANWIRE_PREFIX.");
}

function checkVersions(all: readonly Described[]): Finding[] {
  const versions = [...new Set(all.map(({ version }) => version))].sort();
  if (versions.every((version) => version === VERSION)) return [];
  return [
    report.warning(
      `The services have versions ${versions.join(", ")}, this command ${VERSION}.`,
      "Finish the upgrade: docs/operations.md describes the order.",
    ),
  ];
}

function checkOne({ kind, id, host, eventLoopDelayMs = 0, history }: Described): Finding[] {
  const name = `${kind} ${id} on ${host}`;
  const findings: Finding[] = [];
  if (eventLoopDelayMs > LONG_DELAY_MS) {
    findings.push(
      report.warning(
        `The event loop of ${name} was delayed by ${Math.round(eventLoopDelayMs)} ms.`,
        "Give it more CPU, or start more pushers: docs/scaling.md.",
      ),
    );
  }
  if (history !== undefined && !history.isCurrent) {
    findings.push(
      report.problem(
        `${name} does not deliver durable publications now.`,
        "Look at its log, and at the leader of the history stream. It catches up by itself when NATS answers.",
      ),
    );
  }
  return findings;
}
