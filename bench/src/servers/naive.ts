import { startCalledChild } from "../calls.ts";
import { publishOverNats, subject } from "./over-nats.ts";
import type { Server } from "./server.ts";

export type NaiveCalls = {
  listen: { ask: { natsUrl: string; subject: string }; answer: { port: number } };
};

/** The pusher one writes in an afternoon; what the real one does beyond it must not cost more. */
export const naive: Server = {
  name: "naive",
  summary: "nats.js subscription → uWebSockets.js app.publish; no limits, no metrics",
  start: async (lab) => {
    const child = await startCalledChild<NaiveCalls>(
      lab.children,
      "naive",
      new URL("./naive-main.ts", import.meta.url),
    );
    const { port } = await child.call("listen", { natsUrl: lab.natsUrl, subject });
    return {
      pid: child.pid,
      address: { host: "127.0.0.1", port, path: "/" },
      greetings: 0,
      publish: publishOverNats(lab),
      died: child.died,
      stop: child.stop,
    };
  },
};
