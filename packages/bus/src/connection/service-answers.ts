import { randomInt } from "node:crypto";
import { type ServiceDescription, type Subjects, workerIdFrom } from "@fanwire/protocol";
import { processFacts, processLoad } from "@fanwire/service";
import type { Bus, BusSubscription } from "./bus.ts";

type Described = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly kind: ServiceDescription["kind"];
  counts(): ServiceDescription["counts"];
};

/** Answers requests to all services with a description of this process. */
export function answerServiceRequests({ bus, subjects, kind, counts }: Described): BusSubscription {
  const id = workerIdFrom(() => randomInt(2 ** 32) / 2 ** 32);
  return bus.subscribe(subjects.allServices, (message) => {
    const nats = bus.node();
    // A request that arrived before the connection was lost cannot be answered.
    if (nats === undefined) return;
    const description: ServiceDescription = { kind, id, ...processFacts(), ...processLoad(), nats, counts: counts() };
    message.respond(JSON.stringify(description));
  });
}
