import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Child, Children } from "./children.ts";

/** Calls of one of our processes: argument and result by name. Plain values, because they travel as JSON. */
export type Calls = Record<string, { ask: unknown; answer: unknown }>;

type Request = { id: number; name: string; ask: unknown };
type Reply = { id: number; answer?: unknown; error?: string };

export type CalledChild<C extends Calls> = Child & {
  /** Rejects when the call fails in the process or the process ends. */
  call<Name extends keyof C & string>(name: Name, ask: C[Name]["ask"]): Promise<C[Name]["answer"]>;
};

/**
 * Starts a file of the bench as a process with the flags of this one (tsx, conditions), and waits until it is ready.
 */
export async function startCalledChild<C extends Calls>(
  children: Children,
  name: string,
  file: URL,
): Promise<CalledChild<C>> {
  const args = [...process.execArgv, fileURLToPath(file)];
  const child = children.start(name, process.execPath, args, { stdio: ["ignore", "pipe", "pipe", "ipc"] });
  const waiting = new Map<number, (reply: Reply) => void>();
  let calls = 0;

  await Promise.race([once(child.process, "message"), child.died]);
  child.process.on("message", (reply: Reply) => waiting.get(reply.id)?.(reply));

  return {
    ...child,
    async call(callName, ask) {
      const id = ++calls;
      const replied = new Promise<Reply>((resolve) => waiting.set(id, resolve));
      child.process.send({ id, name: callName, ask } satisfies Request);
      const reply = await Promise.race([replied, child.died]);
      waiting.delete(id);
      if (reply.error !== undefined) throw new Error(`${name}: ${reply.error}`);
      // Both ends are started from the same files, so their types agree.
      return reply.answer as C[typeof callName]["answer"];
    },
  };
}

/** Answers the calls in such a process. Must be called once. The process exits with its parent. */
export function answerCalls<C extends Calls>(
  answers: {
    [Name in keyof C]: (ask: C[Name]["ask"]) => C[Name]["answer"] | Promise<C[Name]["answer"]>;
  },
): void {
  process.on("message", async ({ id, name, ask }: Request) => {
    const reply: Reply = { id };
    try {
      const answer = answers[name];
      if (answer === undefined) throw new Error(`no such call: ${name}`);
      reply.answer = await answer(ask);
    } catch (error) {
      reply.error = error instanceof Error ? error.message : String(error);
    }
    process.send?.(reply);
  });
  process.once("disconnect", () => process.exit());
  process.send?.("ready");
}
