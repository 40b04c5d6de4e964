import { Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import type { ConsumerAPI, JetStreamManager } from "@nats-io/jetstream";
import type { NatsBus } from "../connection/nats-bus.ts";
import type { MessageQuery, StoredMessage } from "./leader-messages.ts";
import { HistoryReader } from "./reader.ts";
import type { OpenStream } from "./stream.ts";
import { StreamWatch } from "./stream-state.ts";

/** Returns a reader that requests each message singly, because it can create no consumer. */
export function singleReader(
  open: () => Promise<OpenStream>,
  message: (query: MessageQuery) => Promise<StoredMessage | null>,
): HistoryReader {
  return new HistoryReader({
    bus: { isUsable: true } as NatsBus,
    jsm: {} as JetStreamManager,
    message,
    consumers: { add: () => Promise.reject(new Error("none")) } as unknown as ConsumerAPI,
    watch: new StreamWatch({
      stream: { open, mark: open },
      log: createLog("test", "silent"),
      disconnects: () => 0,
      newestRecorded: async () => undefined,
      consumed: () => undefined,
      next: async () => null,
      onEpoch() {},
    }),
    subjects: new Subjects(),
  });
}
