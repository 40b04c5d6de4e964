import { randomBytes } from "node:crypto";
import type { Bus } from "@fanwire/bus";
import { type Finding, findingsOf } from "./finding.ts";
import type { OpenedBus } from "./nats.ts";

const report = findingsOf("permissions");

export const serviceNames = ["pusher", "publisher", "channel", "webhooks"] as const;
export type ServiceName = (typeof serviceNames)[number];

/**
 * Subjects below the prefix that a service needs. `any` stands for a random token, so that nobody receives anything.
 */
const needed: Readonly<
  Record<ServiceName, { readonly publish: readonly string[]; readonly subscribe: readonly string[] }>
> = {
  pusher: {
    publish: ["live.topic.any", "live.private.any", "presence.any.any"],
    subscribe: [
      "live.all",
      "live.topic.any",
      "live.private.any",
      "live.user.any",
      "control.workers",
      "control.announcements",
      "presence.any",
    ],
  },
  publisher: {
    publish: ["live.topic.any", "live.private.any", "live.user.any", "control.worker.any", "control.services"],
    subscribe: ["control.announcements"],
  },
  channel: {
    publish: ["live.all", "channel.event.any", "channel.loop.any"],
    subscribe: ["live.all", "live.connection.any.1", "channel.event.any", "channel.loop.any"],
  },
  webhooks: { publish: ["snapshots.any"], subscribe: ["reports.any"] },
};

/** Subjects on which a message would reach a service or client. Only a subscription is tried there. */
const RECEIVED = new Set(["live.all", "control.services"]);

/** Checks whether the NATS user may publish and subscribe to what the services need. Nobody receives the attempts. */
export async function checkPermissions(
  { bus, lines }: OpenedBus,
  { prefix, names }: { readonly prefix: string; readonly names: readonly ServiceName[] },
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const name of names) {
    const subjects = (list: readonly string[]) => list.map((each) => subjectOf(prefix, each));
    const publish = subjects(needed[name].publish.filter((each) => !RECEIVED.has(each)));
    const refused = [
      ...(await refusedPublications(bus, publish)),
      ...(await refusedSubscriptions(bus, lines, subjects(needed[name].subscribe))),
    ];
    findings.push(
      refused.length === 0
        ? report.ok(`this NATS user may do what a ${name} needs`)
        : report.problem(
            `This NATS user may not ${refused.join(", ")}, which a ${name} needs.`,
            "deploy/nats-users.conf has the permissions of each service. Name the service with --service if it is another one.",
          ),
    );
  }
  return findings;
}

function subjectOf(prefix: string, name: string): string {
  const token = `doctor-${randomBytes(6).toString("hex")}`;
  return `${prefix}.${name.replaceAll("any", token)}`;
}

async function refusedPublications(bus: Bus, subjects: readonly string[]): Promise<string[]> {
  const outcomes = await bus.publishAll(subjects.map((subject) => ({ subject, content: new Uint8Array() })));
  return subjects.flatMap((subject, at) => {
    const outcome = outcomes[at];
    return outcome !== undefined && !outcome.ok && outcome.reason === "forbidden" ? [`publish to ${subject}`] : [];
  });
}

/** NATS reports a forbidden subscription before it confirms what was sent after it. */
async function refusedSubscriptions(
  bus: Bus,
  lines: readonly string[],
  subjects: readonly string[],
): Promise<string[]> {
  const before = lines.length;
  const subscriptions = subjects.map((subject) => bus.subscribe(subject, () => undefined));
  await bus.confirm();
  for (const subscription of subscriptions) subscription.unsubscribe();
  const logged = lines.slice(before).join("\n").toLowerCase();
  return subjects
    .filter((subject) => logged.includes(`subscription to \\"${subject.toLowerCase()}\\"`))
    .map((each) => `subscribe to ${each}`);
}
