import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import {
  type DeliveryOutcome,
  headerNames,
  parseConnectionAddress,
  parseConnectionId,
  type Subjects,
} from "@fanwire/protocol";
import type { Traffic } from "./traffic.ts";
import type { WebSocketDoor } from "./websocket.ts";

/** Takes publications from NATS and hands each to the connections of this worker that it is for. */
export function startDelivery(options: {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  readonly door: WebSocketDoor;
  readonly traffic: Traffic;
}): BusSubscription[] {
  const { bus, subjects, workerId, door, traffic } = options;
  const connectionPrefixLength = subjects.liveConnections(workerId).length - "*".length;

  const onEveryone = (message: BusMessage) => {
    traffic.publications.everyone++;
    door.deliverToEveryone(message.data, exceptedConnection(message, workerId));
  };

  const onConnection = (message: BusMessage) => {
    traffic.publications.connection++;
    const connectionId = parseConnectionId(message.subject.slice(connectionPrefixLength));
    const isExcepted = connectionId !== undefined && connectionId === exceptedConnection(message, workerId);
    const outcome: DeliveryOutcome =
      connectionId === undefined || isExcepted ? "gone" : door.deliverToConnection(connectionId, message.data);
    message.respond(JSON.stringify({ outcome }));
  };

  return [
    bus.subscribe(subjects.live({ kind: "everyone" }), onEveryone),
    bus.subscribe(subjects.liveConnections(workerId), onConnection),
  ];
}

/** The id of the connection that must not get the publication, if it is one of this worker's. */
function exceptedConnection(message: BusMessage, workerId: string): number | undefined {
  const except = message.headers?.get(headerNames.except);
  if (!except) return undefined;
  const address = parseConnectionAddress(except);
  return address?.workerId === workerId ? address.connectionId : undefined;
}
