import { startCalledChild } from "../calls.ts";
import type { PublishPlan } from "../pacer.ts";
import type { Server } from "./server.ts";

export type BareCalls = {
  listen: { ask: null; answer: { port: number } };
  publish: { ask: PublishPlan; answer: number };
};

/** What everything else is measured against: the library the pusher stands on, doing nothing but fan-out. */
export const bare: Server = {
  name: "bare",
  summary: "uWebSockets.js app.publish, fed by a timer in its own process; no NATS",
  start: async (lab) => {
    const child = await startCalledChild<BareCalls>(lab.children, "bare", new URL("./bare-main.ts", import.meta.url));
    const { port } = await child.call("listen", null);
    return {
      pid: child.pid,
      address: { host: "127.0.0.1", port, path: "/" },
      greetings: 0,
      publish: (plan) => child.call("publish", plan),
      died: child.died,
      stop: child.stop,
    };
  },
};
