import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcess, type TestProcess } from "./process.ts";
import { until } from "./wait.ts";

export type TestNats = Awaited<ReturnType<typeof startNats>>;

type NatsOptions = {
  readonly jetStream?: boolean;
  readonly env?: Record<string, string>;
  /** Text of a configuration file. */
  readonly config?: string;
};

/**
 * Returns the path of nats-server, which vitest.config.ts has found.
 *
 * @throws if it has found none.
 */
export function natsServerPath(): string {
  const path = process.env.FANWIRE_NATS_SERVER;
  if (path !== undefined) return path;
  throw new Error(
    "nats-server not found: run `npm test`, which fetches one, or put one on PATH or in FANWIRE_NATS_SERVER",
  );
}

/** Starts a NATS server on a free port, by default with JetStream. Its data is deleted when it is disposed of. */
export async function startNats(
  extraArgs: readonly string[] = [],
  { jetStream = true, env, config = "" }: NatsOptions = {},
) {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-nats-"));
  const configFile = join(folder, "nats.conf");
  await writeFile(configFile, config);
  const command = natsServerPath();
  const start = (port: number) =>
    startProcess(
      command,
      [
        ...["-a", "127.0.0.1", "-p", String(port), "--ports_file_dir", folder],
        ...(config === "" ? [] : ["-c", configFile]),
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
    /** Output of the server since its last start. */
    output: () => server.output(),
    /** A restart uses the same port, because no other process is likely to take it. */
    stop: async (signal: NodeJS.Signals = "SIGKILL") => void (await server.stop(signal)),
    /** Starts the server again on the same port with the same data. */
    restart: async () => {
      server = start(port);
      await until("NATS accepts connections again", () => accepts(port));
    },
    /** Sends SIGSTOP or SIGCONT, for a server that hangs. */
    signal: (signal: NodeJS.Signals) => {
      server.kill(signal);
      // The server may run for a moment longer, and could answer what the test sends next.
      while (signal === "SIGSTOP" && !isStopped(server.pid));
    },
    [Symbol.asyncDispose]: async () => {
      server.kill("SIGCONT");
      await server.stop("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Returns whether every thread of the process is stopped, or true where /proc does not show it. */
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
  return until("NATS writes its port", async () => {
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
