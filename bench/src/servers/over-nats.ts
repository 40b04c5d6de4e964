import { Subjects } from "@fanwire/protocol";
import type { Lab } from "../lab.ts";
import { publishPaced } from "../pacer.ts";
import type { RunningServer } from "./server.ts";

const subjects = new Subjects();

/** Subject of publications to everyone. */
export const everyone = subjects.live({ kind: "everyone" });
export const everyoneDurably = subjects.history({ kind: "everyone" });

/** Returns the subject of publications to a topic. */
export function topicOf(topic: string): string {
  return subjects.live({ kind: "topic", topic });
}

/** Publishes to servers that subscribe to NATS, at the same rate as to any other. */
export function publishOverNats(lab: Lab, to: readonly string[] = [everyone]): RunningServer["publish"] {
  return (plan) => publishPaced(plan, (contents) => lab.publisher.publish(to, contents));
}
