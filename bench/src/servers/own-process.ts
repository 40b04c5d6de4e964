import { type Calls, startCalledChild } from "../calls.ts";
import { type Dialect, plainDialect } from "../client/dialect.ts";
import type { Lab } from "../lab.ts";
import type { PublishPlan } from "../pacer.ts";
import { everyone, publishOverNats } from "./over-nats.ts";
import type { RunningServer } from "./server.ts";

/** Calls of a server of the bench that receives publications over NATS. */
export type OverNatsCalls = { listen: { ask: { natsUrl: string; subject: string }; answer: { port: number } } };

/** Calls of a server that publishes itself. */
export type SelfFedCalls = {
  listen: { ask: null; answer: { port: number } };
  publish: { ask: PublishPlan; answer: number };
};

/**
 * Starts `<name>-main.ts` beside this file. It subscribes to `subject`, by default that of publications to everyone.
 */
export async function startOverNats(
  lab: Lab,
  name: string,
  dialect = plainDialect,
  subject = everyone,
): Promise<RunningServer> {
  const child = await startMain<OverNatsCalls>(lab, name);
  const { port } = await child.call("listen", { natsUrl: lab.natsUrl, subject });
  return running(child, port, dialect, publishOverNats(lab));
}

export async function startSelfFed(lab: Lab, name: string, dialect = plainDialect): Promise<RunningServer> {
  const child = await startMain<SelfFedCalls>(lab, name);
  const { port } = await child.call("listen", null);
  return running(child, port, dialect, (plan) => child.call("publish", plan));
}

function startMain<C extends Calls>(lab: Lab, name: string) {
  return startCalledChild<C>(lab.children, name, new URL(`./${name}-main.ts`, import.meta.url));
}

function running(
  { pid, died, stop }: Pick<RunningServer, "pid" | "died" | "stop">,
  port: number,
  dialect: Dialect,
  publish: RunningServer["publish"],
): RunningServer {
  return { pid, died, stop, address: { host: "127.0.0.1", port }, dialect, publish };
}
