import { historyConfigFrom, openJetStreamHistory, sharedSettings } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import { createLog, readSettings } from "@fanwire/service";
import type { Io } from "../io.ts";
import { type Finding, findingsOf } from "./finding.ts";
import type { OpenedBus } from "./nats.ts";
import type { ServiceName } from "./permissions.ts";

const report = findingsOf("history");

type HistoryCheck = { readonly subjects: Subjects; readonly names: readonly ServiceName[] };

/** Checks JetStream and the stream of durable publications for these services. Creates nothing. */
export async function checkHistory(io: Io, { bus }: OpenedBus, { subjects, names }: HistoryCheck): Promise<Finding[]> {
  const config = historyConfigFrom(readSettings(sharedSettings, io.env));
  const log = createLog("doctor", "silent");
  const history = await openJetStreamHistory({ bus, subjects, config, log });
  const described = await history.describe();
  history.stop();
  if (!described.ok) return [describeFailure(described, names)];
  const { messages, bytes, maxBytes, maxAgeSeconds, leader, replicas } = described.stream;
  const where = leader === undefined ? "" : `, leader ${leader}, ${replicas.length} replicas`;
  const behind = replicas.filter(({ isCurrent }) => !isCurrent);
  return [
    report.ok(`${messages} publications, ${bytes} bytes${where}`),
    ...behind.map(({ name, lag }) =>
      report.warning(
        `${name} is ${lag} operations behind the leader, or cannot be reached.`,
        "If this lasts, look at the log of that nats-server. The history survives fewer failures until then.",
      ),
    ),
    ...differences("FANWIRE_HISTORY_MAX_BYTES", config.maxBytes, maxBytes),
    ...differences("FANWIRE_HISTORY_MAX_AGE_SECONDS", config.maxAgeSeconds, maxAgeSeconds),
  ];
}

function describeFailure(
  { reason, detail }: { readonly reason: string; readonly detail: string },
  names: readonly ServiceName[],
): Finding {
  switch (reason) {
    case "no-jetstream":
      return report.warning(
        "JetStream is off: durable publications are refused with 503, and nobody can resume.",
        "Start nats-server with -js, or with jetstream {} in its configuration.",
      );
    case "forbidden":
      return describeForbidden(detail, names);
    default:
      // The first service that needs it creates a missing stream.
      return report.warning(
        `The history is not usable now: ${detail}.`,
        "Start a pusher, which creates a missing stream.",
      );
  }
}

/** Pushers and publishers read the stream, other services do not. */
function describeForbidden(detail: string, names: readonly ServiceName[]): Finding {
  const [reader] = names.filter((name) => name === "pusher" || name === "publisher");
  if (reader === undefined) return report.skipped(`this NATS user may not read the stream (${detail})`);
  return report.problem(
    `This NATS user may not read the stream of durable publications, which a ${reader} needs (${detail}).`,
    "deploy/nats-users.conf has the permissions of each service. Name the service with --service if it is another one.",
  );
}

function differences(name: string, wanted: number, actual: number | null): Finding[] {
  if (wanted === actual) return [];
  return [
    report.warning(
      `${name} is ${wanted} here, but the stream has ${actual ?? "no limit"}.`,
      "The limits count when the stream is created. docs/operations.md describes how to change an existing one.",
    ),
  ];
}
