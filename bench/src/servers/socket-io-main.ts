import { once } from "node:events";
import { createServer } from "node:http";
import { Server } from "socket.io";
import { answerCalls } from "../calls.ts";
import { forwardNats } from "./forward-nats.ts";
import type { OverNatsCalls } from "./own-process.ts";
import { portOf } from "./ports.ts";

answerCalls<OverNatsCalls>({
  listen: async (source) => {
    const http = createServer();
    const server = new Server(http, { transports: ["websocket"], serveClient: false });
    await forwardNats(source, (content) => server.emit("message", Buffer.from(content).toString()));
    await once(http.listen({ host: "127.0.0.1", port: 0, backlog: 4_096 }), "listening");
    return { port: portOf(http) };
  },
});
