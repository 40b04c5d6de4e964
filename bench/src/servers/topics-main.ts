import uWS from "uWebSockets.js";
import { connect } from "@nats-io/transport-node";
import { answerCalls } from "../calls.ts";
import { decodeSequence } from "../content.ts";
import { publishPaced } from "../pacer.ts";
import { type TopicsCalls, topicsAt } from "./topics.ts";

type Subscriber = { readonly topics: readonly string[] };

const app = uWS.App();

/** Minimum cost of topics: each connection subscribes to those of its query, and is then greeted. */
answerCalls<TopicsCalls>({
  listen: async (source) => {
    const nats = source === null ? undefined : await connect({ servers: source.natsUrl });
    const listen = (topic: string) =>
      nats?.subscribe(source?.prefix + topic, {
        callback: (error, message) => {
          if (error) throw error;
          app.publish(topic, message.data, false);
        },
      });
    app.ws<Subscriber>("/*", {
      compression: uWS.DISABLED,
      maxBackpressure: 0,
      idleTimeout: 120,
      upgrade: (response, request, context) => {
        const topics = new URLSearchParams(request.getQuery()).getAll("topic");
        response.upgrade({ topics }, request.getHeader("sec-websocket-key"), "", "", context);
      },
      open: async (socket) => {
        for (const topic of socket.getUserData().topics) {
          if (app.numSubscribers(topic) === 0) listen(topic);
          socket.subscribe(topic);
        }
        await nats?.flush();
        socket.send("listening");
      },
    });
    const port = await new Promise<number>((resolve) => {
      app.listen("127.0.0.1", 0, (socket) => {
        if (socket) resolve(uWS.us_socket_local_port(socket));
      });
    });
    return { port };
  },
  publish: ({ plan, spread }) =>
    publishPaced(plan, (contents) => {
      for (const content of contents) {
        for (const topic of topicsAt(spread, decodeSequence(content, 0))) app.publish(topic, content, false);
      }
    }),
});
