import { mkdtempSync, rmSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Child, Children } from "./children.ts";
import { SetupError } from "./setup-error.ts";

const START_TIMEOUT_MS = 10_000;

export type NatsServer = { readonly port: number; readonly pid: number; stop(): Promise<void>; removeFiles(): void };

/** Starts a nats-server for the bench: free port on loopback, JetStream in a temporary folder, ends with the bench. */
export async function startNatsServer(children: Children): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), "fanwire-bench-"));
  const removeFiles = () => rmSync(folder, { recursive: true, force: true });
  const args = ["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", folder, "-js", "-sd", join(folder, "jetstream")];
  const child = children.start("nats-server", "nats-server", args, { stdio: ["ignore", "pipe", "pipe"] });
  try {
    const port = await Promise.race([readPort(folder), child.died]);
    return { port, pid: child.pid, removeFiles, stop: () => stop(child, removeFiles) };
  } catch (error) {
    await stop(child, removeFiles);
    const reason = error instanceof Error ? error.message : String(error);
    const hint = "It must be on the PATH; on Debian and Ubuntu: apt-get install nats-server";
    throw new SetupError(`nats-server could not be started: ${reason}\n${hint}`, { cause: error });
  }
}

async function stop(child: Child, removeFiles: () => void): Promise<void> {
  await child.stop();
  removeFiles();
}

/** With `-p -1` the server takes a free port and writes it to `<program>_<pid>.ports`. */
async function readPort(folder: string): Promise<number> {
  for (const deadline = performance.now() + START_TIMEOUT_MS; performance.now() < deadline; await delay(20)) {
    const file = (await readdir(folder)).find((name) => name.endsWith(".ports"));
    const port = file && /"nats:\/\/[^"]*:(\d+)"/.exec(await readFile(join(folder, file), "utf8"))?.[1];
    if (port) return Number(port);
  }
  throw new Error(`it named no port within ${START_TIMEOUT_MS / 1000} s`);
}
