import { startOverNats } from "./own-process.ts";
import type { Server } from "./server.ts";

/** Engine.IO 4 over WebSocket: 0 opens, 2 is a ping, 3 its pong, 40 enters the namespace. */
export const socketIo: Server = {
  name: "socket.io",
  summary: "peer: nats.js subscription → socket.io's emit to all",
  start: (lab) =>
    startOverNats(lab, "socket-io", {
      transport: "websocket",
      path: "/socket.io/?EIO=4&transport=websocket",
      hello: "40",
      answers: { "2": "3" },
      greetings: 2,
    }),
};
