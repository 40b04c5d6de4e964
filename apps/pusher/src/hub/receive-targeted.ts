import type { BusMessage } from "@fanwire/bus";
import { parseConnectionId } from "@fanwire/protocol";
import type { Counters } from "../connections/counters.ts";
import type { Fanout } from "../fanout/fanout.ts";

/** Delivers a publication to one connection of this worker, and replies with the outcome. */
export function receiveTargeted(message: BusMessage, counters: Counters, fanout: Fanout): void {
  counters.publications.connection++;
  const connectionId = parseConnectionId(message.subject.slice(message.subject.lastIndexOf(".") + 1));
  const outcome = connectionId === undefined ? "no-connection" : fanout.toConnection(connectionId, message);
  message.respond(JSON.stringify({ outcome }));
}
