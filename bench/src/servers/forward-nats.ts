import { connect } from "@nats-io/transport-node";
import type { OverNatsCalls } from "./own-process.ts";

/** Subscribes and passes on every publication. Resolves when NATS has the subscription. */
export async function forwardNats(
  { natsUrl, subject }: OverNatsCalls["listen"]["ask"],
  publish: (content: Uint8Array) => void,
): Promise<void> {
  const nats = await connect({ servers: natsUrl });
  nats.subscribe(subject, {
    callback: (error, message) => {
      if (error) throw error;
      publish(message.data);
    },
  });
  await nats.flush();
}
