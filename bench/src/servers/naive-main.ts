import { connect } from "@nats-io/transport-node";
import { answerCalls } from "../calls.ts";
import type { NaiveCalls } from "./naive.ts";
import { startUwsApp } from "./uws-app.ts";

answerCalls<NaiveCalls>({
  listen: async ({ natsUrl, subject }) => {
    const app = await startUwsApp();
    const nats = await connect({ servers: natsUrl });
    nats.subscribe(subject, {
      callback: (error, message) => {
        if (error) throw error;
        app.publish(message.data);
      },
    });
    await nats.flush();
    return { port: app.port };
  },
});
