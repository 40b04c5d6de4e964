import type { Children } from "./children.ts";
import { NatsPublisher } from "./nats-publisher.ts";
import { type NatsServer, startNatsServer } from "./nats-server.ts";

/** Resources that all measurements of a run share. */
export type Lab = {
  readonly children: Children;
  readonly nats: NatsServer;
  readonly natsUrl: string;
  readonly publisher: NatsPublisher;
  /** Stops everything that the run has started. May be called twice. */
  stop(): Promise<void>;
};

export async function startLab(children: Children): Promise<Lab> {
  const nats = await startNatsServer(children);
  const publisher = await NatsPublisher.connect(nats.port);
  return {
    children,
    nats,
    natsUrl: `nats://127.0.0.1:${nats.port}`,
    publisher,
    stop: async () => {
      publisher.close();
      await children.stopAll();
      await nats.stop();
    },
  };
}
