import { Subjects } from "@fanwire/protocol";
import type { Lab } from "../lab.ts";
import { publishPaced } from "../pacer.ts";
import type { RunningServer } from "./server.ts";

const subjects = new Subjects();

/** Where a publication to everyone goes. */
export const everyone = subjects.live({ kind: "everyone" });
export const everyoneDurably = subjects.history({ kind: "everyone" });

/** How a server is fed that listens to NATS: by the bench's own publisher, at the same pace as any other. */
export function publishOverNats(lab: Lab, to: readonly string[] = [everyone]): RunningServer["publish"] {
  return (plan) => publishPaced(plan, (contents) => lab.publisher.publish(to, contents));
}
