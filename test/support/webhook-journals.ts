import { Journal } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { connectBus } from "./bus.ts";

const log = createLog("test", "silent");

/** Opens the streams of a webhook sender, with a bus of their own, which the caller stops. */
export async function openWebhookJournals(natsUrl: string) {
  const bus = await connectBus(natsUrl);
  const subjects = new Subjects();
  const limits = { maxAgeMs: 0, maxBytes: -1, replicas: 1 };
  const [stored, saved] = [subjects.allStoredEvents, subjects.allWebhookRecords];
  const republishing = { stream: subjects.eventStream, subjects: stored, republishTo: subjects.allEvents };
  const events = new Journal(bus, { ...republishing, ...limits, maxPerSubject: -1 }, log);
  const journal = new Journal(
    bus,
    { stream: subjects.webhookStream, subjects: saved, ...limits, maxPerSubject: 1 },
    log,
  );
  await journal.open();
  await events.open();
  return { bus, subjects, events, journal, log };
}

/** A lease that no other sender takes over. */
export const heldLease = {
  isValid: () => true,
  lost: new Promise<void>(() => {}),
  release: async () => {},
  abandon: () => {},
};
