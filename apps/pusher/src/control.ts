import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import { type ControlRequest, controlRequest, type Subjects, type WorkerDescription } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { WebSocketDoor } from "./websocket.ts";

/** Answers what other services ask of this worker. */
export function startControl(options: {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  readonly door: WebSocketDoor;
  readonly log: Log;
  describeWorker(): WorkerDescription;
}): BusSubscription[] {
  const { bus, subjects, workerId, door, log, describeWorker } = options;

  const reply = (request: ControlRequest) => {
    switch (request.command) {
      case "describe":
        return describeWorker();
      case "find-connection":
        return { connection: door.findConnection(request.connectionId) };
      case "close-connection":
        return { connection: door.closeConnection(request.connectionId) };
    }
  };

  const onRequest = (message: BusMessage) => {
    const request = parseRequest(message.data);
    if (request === undefined) {
      log.warn({ subject: message.subject }, "a control request could not be read");
      message.respond(JSON.stringify({ error: "not a control request" }));
      return;
    }
    message.respond(JSON.stringify(reply(request)));
  };

  return [subjects.worker(workerId), subjects.allWorkers].map((subject) => bus.subscribe(subject, onRequest));
}

function parseRequest(data: Uint8Array): ControlRequest | undefined {
  try {
    return controlRequest.safeParse(JSON.parse(Buffer.from(data).toString())).data;
  } catch {
    return undefined;
  }
}
