import uWS, { type WebSocket } from "uWebSockets.js";
import { connect } from "@nats-io/transport-node";
import { answerCalls } from "../calls.ts";
import type { OverNatsCalls } from "./own-process.ts";

const sockets = new Map<number, WebSocket<{ id: number }>>();

/** Minimum cost of targeted publications: a NATS subscription, a Map, a send, a reply. */
answerCalls<OverNatsCalls>({
  listen: async ({ natsUrl, subject }) => {
    const app = uWS.App();
    let lastId = 0;
    app.ws<{ id: number }>("/*", {
      upgrade: (response, request, context) => {
        const key = request.getHeader("sec-websocket-key");
        response.upgrade({ id: ++lastId }, key, "", "", context);
      },
      open: (socket) => void sockets.set(socket.getUserData().id, socket),
      close: (socket) => void sockets.delete(socket.getUserData().id),
    });
    const nats = await connect({ servers: natsUrl });
    nats.subscribe(`${subject}.*`, {
      callback: (error, message) => {
        if (error) throw error;
        const id = Number(message.subject.slice(message.subject.lastIndexOf(".") + 1));
        const sent = sockets.get(id)?.send(message.data, false);
        message.respond(JSON.stringify({ outcome: sent === 1 ? "delivered" : "buffered" }));
      },
    });
    await nats.flush();
    const port = await new Promise<number>((resolve) => {
      app.listen("127.0.0.1", 0, (socket) => {
        if (socket) resolve(uWS.us_socket_local_port(socket));
      });
    });
    return { port };
  },
});
