import { type BusConfig, NatsBus } from "@fanwire/bus";
import { createLog, deadlineSignal } from "@fanwire/service";
import { type Finding, findingsOf } from "./finding.ts";

const report = findingsOf("NATS");
const CONNECT_WITHIN_MS = 3_000;
const OLDEST_VERSION = [2, 9] as const;
/** nats-server before this version has defects of replicated streams. */
const SOUND_REPLICAS = [2, 10] as const;
/** Default of CHANNEL_MAX_FRAME_BYTES: items of Workerman queues may be that large. */
const LARGE_ITEM = 10_485_760;

export type OpenedBus = {
  readonly bus: NatsBus;
  /** Lines that the bus has logged, in JSON. NATS reports forbidden subscriptions only there. */
  readonly lines: readonly string[];
};

/** Connects as the services do. Returns no bus if NATS does not answer within 3 s. */
export async function openBus(config: BusConfig, signal: AbortSignal): Promise<OpenedBus | Finding> {
  const lines: string[] = [];
  const log = createLog("doctor", "warn", { write: (line) => lines.push(line) });
  const bus = new NatsBus({ config, name: "fanwire doctor", log });
  try {
    await bus.connect(deadlineSignal(CONNECT_WITHIN_MS, signal));
    return { bus, lines };
  } catch {
    await bus.stop();
    signal.throwIfAborted();
    return connectProblem({ bus, lines }, config.servers.join(", "));
  }
}

/**
 * Names why no message returned: NATS unreachable, refused credentials, or a user without the permission for its inbox.
 */
function connectProblem({ bus, lines }: OpenedBus, servers: string): Finding {
  const reason = lastReason(lines);
  if (bus.wasConnected) {
    const inbox = `${bus.inboxPrefix}.>`;
    return report.problem(
      `${servers} accepts the credentials, but messages to ${inbox} do not come back within 3 s: ${reason}`,
      `Permit this NATS user to publish and subscribe to ${inbox}: deploy/nats-users.conf has the permissions of each service.`,
    );
  }
  if (/authorization|authentication/i.test(reason)) {
    return report.problem(
      `${servers} refuses the credentials: ${reason}`,
      "Set FANWIRE_NATS_USER and FANWIRE_NATS_PASSWORD, FANWIRE_NATS_TOKEN or FANWIRE_NATS_CREDS_FILE to those of a user there.",
    );
  }
  return report.problem(
    `${servers} cannot be reached within 3 s: ${reason}`,
    "Start nats-server there, or set FANWIRE_NATS_URL.",
  );
}

/** Checks the node to which the bus is connected. */
export function checkNats({ bus }: OpenedBus): Finding[] {
  const node = bus.node();
  if (node === undefined) return [report.problem("The connection to NATS was lost during the checks.")];
  const health = bus.health();
  const place = node.cluster === undefined ? "alone" : `in cluster ${node.cluster}`;
  const trip = health.alive ? `, ${health.roundTripMs.toFixed(1)} ms for a round trip` : "";
  return [
    report.ok(`connected to ${node.name} (${place})${trip}`),
    checkVersion(node.version, node.cluster !== undefined),
    checkMaxPayload(bus.maxPayloadBytes()),
  ];
}

export function checkVersion(version: string, isClustered: boolean): Finding {
  if (isOlder(version, OLDEST_VERSION)) {
    return report.problem(`nats-server ${version} is too old.`, `Install ${OLDEST_VERSION.join(".")} or newer.`);
  }
  if (isClustered && isOlder(version, SOUND_REPLICAS)) {
    return report.warning(
      `nats-server ${version} has defects of replicated streams that newer versions do not have.`,
      "Install a current nats-server on every node of the cluster.",
    );
  }
  return report.ok(`nats-server ${version}`);
}

function isOlder(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split(".").map(Number);
  return ownMajor < major || (ownMajor === major && ownMinor < minor);
}

export function checkMaxPayload(bytes: number): Finding {
  if (bytes >= LARGE_ITEM) return report.ok(`max_payload ${bytes} bytes`);
  return report.warning(
    `max_payload is ${bytes} bytes: larger publications and queue items are refused. Workerman accepts 10 MiB.`,
    "Set max_payload: 11MB in the configuration of nats-server if you need more.",
  );
}

function lastReason(lines: readonly string[]): string {
  const { reason, err } = JSON.parse(lines.at(-1) ?? "{}") as { reason?: string; err?: { message?: string } };
  return reason ?? err?.message ?? "no answer";
}
