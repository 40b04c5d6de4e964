import uWS, { type HttpResponse } from "uWebSockets.js";

const TOPIC = "all";

export type UwsApp = { readonly port: number; publish(content: Uint8Array): void };

/**
 * A minimal server on uWebSockets.js: each connection subscribes to one topic, and `/sse` is an event stream. Unsent
 * bytes are not limited, because uWebSockets.js by default drops above 64 KiB, which a burst exceeds.
 */
export async function startUwsApp(): Promise<UwsApp> {
  const app = uWS.App();
  const responses = new Set<HttpResponse>();
  app.ws("/*", {
    compression: uWS.DISABLED,
    maxBackpressure: 0,
    idleTimeout: 120,
    open: (ws) => {
      ws.subscribe(TOPIC);
    },
  });
  app.get("/sse", (response) => {
    response.onAborted(() => responses.delete(response));
    response.writeHeader("Content-Type", "text/event-stream").write("event: open\ndata: \n\n");
    responses.add(response);
  });
  const port = await new Promise<number>((resolve, reject) => {
    app.listen("127.0.0.1", 0, (socket) => {
      if (socket) resolve(uWS.us_socket_local_port(socket));
      else reject(new Error("uWebSockets.js could not listen"));
    });
  });
  return {
    port,
    publish: (content) => {
      app.publish(TOPIC, content, false);
      if (responses.size === 0) return;
      const event = `data: ${Buffer.from(content).toString()}\n\n`;
      for (const response of responses) response.cork(() => response.write(event));
    },
  };
}
