import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcess, type TestProcess } from "./process.ts";
import { until } from "./wait.ts";

export type TestNats = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  /** What the server has logged since it was last started. */
  output(): string;
  /** Ends the server as `signal` does; its port stays reserved for {@link restart} by nobody else asking for it. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port with the same data. */
  restart(): Promise<void>;
  /** SIGSTOP or SIGCONT, for a server that is there and says nothing. */
  signal(signal: NodeJS.Signals): void;
};

/** A NATS server of the test's own, on a free port, with JetStream, unless it is not wanted, in a folder that goes with it. */
export async function startNats(
  extraArgs: readonly string[] = [],
  { jetStream = true, env }: { readonly jetStream?: boolean; readonly env?: Record<string, string> } = {},
): Promise<TestNats> {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-nats-"));
  // Set by vitest.config.ts when it finds one.
  const command = process.env.FANWIRE_NATS_SERVER;
  if (command === undefined) {
    throw new Error(
      "nats-server not found: run `npm test`, which fetches one, or put one on PATH or in FANWIRE_NATS_SERVER",
    );
  }
  const start = (port: number) =>
    startProcess(
      command,
      [
        ...["-a", "127.0.0.1", "-p", String(port), "--ports_file_dir", folder],
        ...(jetStream ? ["-js", "-sd", join(folder, "data")] : []),
        ...extraArgs,
      ],
      env,
    );

  let server = start(-1);
  const port = await portOf(server, folder);
  await until("NATS accepts connections", () => accepts(port));

  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    output: () => server.output(),
    stop: async (signal = "SIGKILL") => void (await server.stop(signal)),
    restart: async () => {
      server = start(port);
      await until("NATS accepts connections again", () => accepts(port));
    },
    signal: (signal) => {
      server.kill(signal);
      // It may go on for a moment, and answer what a test sends at once.
      while (signal === "SIGSTOP" && !isStopped(server.pid));
    },
    [Symbol.asyncDispose]: async () => {
      server.kill("SIGCONT");
      await server.stop("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Whether every thread of the process is; true where nothing tells. */
function isStopped(pid: number): boolean {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.every((thread) => / [Tt] /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1")));
  } catch {
    return true;
  }
}

/** The server writes its ports into a file named after its process. */
function portOf(server: TestProcess, folder: string): Promise<number> {
  return until("NATS tells its port", async () => {
    if (server.end()) throw new Error(`nats-server ended:\n${server.output()}`);
    const ports = await readFile(join(folder, `nats-server_${server.pid}.ports`), "utf8").catch(() => "");
    const [, port] = /(?:nats|tls):\/\/[^:]+:(\d+)/.exec(ports) ?? [];
    return port === undefined ? undefined : Number(port);
  });
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    socket.once("data", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
