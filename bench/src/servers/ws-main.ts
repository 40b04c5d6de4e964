import { once } from "node:events";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { answerCalls } from "../calls.ts";
import { forwardNats } from "./forward-nats.ts";
import type { OverNatsCalls } from "./own-process.ts";
import { portOf } from "./ports.ts";

answerCalls<OverNatsCalls>({
  listen: async (source) => {
    const http = createServer();
    const server = new WebSocketServer({ server: http, perMessageDeflate: false });
    await forwardNats(source, (content) => {
      for (const client of server.clients) client.send(content, { binary: false });
    });
    await once(http.listen({ host: "127.0.0.1", port: 0, backlog: 4_096 }), "listening");
    return { port: portOf(http) };
  },
});
