import { execFile, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { pusherAppsEnv } from "./pusher-apps.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Maximum time without caches, for `npm ci` in the build stage and for each service. */
const UP_MS = 15 * 60_000;
const DOWN_MS = 2 * 60_000;
const ROLLING_MS = 3 * 60_000;

/** Returns why no container can be started, or `undefined` if an engine with compose answers. */
export function missingEngine(): string | undefined {
  for (const args of [["info"], ["compose", "version"]]) {
    const { error, status } = spawnSync("docker", args, { stdio: "ignore", timeout: 20_000 });
    if (error !== undefined || status !== 0) return `"docker ${args.join(" ")}" does not answer`;
  }
  return undefined;
}

export type Container = {
  readonly id: string;
  /** Its name in docker-compose.yml: `nats-1`, `pusher`. */
  readonly service: string;
  readonly hostname: string;
};

export type ComposeCluster = Awaited<ReturnType<typeof startCompose>>;

/**
 * Builds and starts the cluster of docker-compose.yml under a separate name and separate ports, and resolves when every
 * container serves. Disposing of it removes containers, networks, volumes and images; so does a start that fails.
 */
export async function startCompose(options: { readonly pushers: number; readonly drainSeconds: number }) {
  const project = `fanwire-test-${randomBytes(4).toString("hex")}`;
  const env = {
    ...process.env,
    COMPOSE_PROFILES: "",
    FANWIRE_PUSHER_BIND: "127.0.0.1",
    FANWIRE_PUBLISHER_BIND: "127.0.0.1",
    FANWIRE_APPS_BIND: "127.0.0.1",
    // The engine picks free ones.
    FANWIRE_PUSHER_PORT: "0",
    FANWIRE_PUBLISHER_PORT: "0",
    FANWIRE_APPS_PORT: "0",
    PUSHER_WORKERS: "1",
    PUSHER_DRAIN_SECONDS: String(options.drainSeconds),
    PUBLISHER_API_KEYS: "",
    // The containers listen on all their addresses, and are reachable on loopback only.
    PUBLISHER_CONSOLE: "on",
    ...pusherAppsEnv(),
  };
  const docker = async (args: readonly string[], timeout = DOWN_MS) => {
    try {
      const { stdout } = await run("docker", args, { cwd: ROOT, env, timeout, maxBuffer: 64 << 20 });
      return stdout.trim();
    } catch (error) {
      // This error as a cause would print the whole output of a build.
      throw new Error(`docker ${args.join(" ")} failed; its end:\n${String(error).slice(-3_000)}`);
    }
  };
  // The .env file of the developer must not apply.
  const compose = (args: readonly string[], timeout?: number) =>
    docker(["compose", "--env-file", "/dev/null", "-f", "docker-compose.yml", "-p", project, ...args], timeout);
  const remove = async () => {
    await compose(["down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "10"]);
  };

  try {
    await compose(["up", "--detach", "--build", "--wait", "--scale", `pusher=${options.pushers}`], UP_MS);
    await untilServing();
    return {
      /** Published ports of HAProxy: `127.0.0.1:<port>`. */
      pusherAddress: await compose(["port", "haproxy", "4236"]),
      publisherAddress: await compose(["port", "haproxy", "4237"]),
      /** Port of the Pusher protocol, which serves the app {@link demoApp}. */
      appsAddress: await compose(["port", "haproxy", "6001"]),
      containers: async (service?: string) => {
        const ids = await compose(["ps", "--all", "--quiet", ...(service === undefined ? [] : [service])]);
        return Promise.all(ids.split("\n").map(describeContainer));
      },
      /** Output of `docker inspect --format` for one container. */
      inspect: (container: Container, format: string) => docker(["inspect", "--format", format, container.id]),
      /** Output of a command inside a running container. */
      exec: (container: Container, ...command: string[]) => docker(["exec", container.id, ...command]),
      /** Logs of these services so far. */
      logs: (...services: string[]) => compose(["logs", "--no-color", ...services]),
      /** Resolves when the container's process has ended, or was killed because its grace period was over. */
      stop: async (container: Container) => void (await docker(["stop", container.id])),
      /** Resolves when the container is healthy. */
      start: async (container: Container) => {
        await docker(["start", container.id]);
        const format = "{{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}";
        while ((await docker(["inspect", "--format", format, container.id])) !== "healthy") await delay(250);
        await untilServing();
      },
      /** Replaces every container of a service by deploy/rolling-restart.sh. */
      rollingRestart: async (service: string) => {
        const settings = {
          COMPOSE_PROJECT_NAME: project,
          COMPOSE_FILE: "docker-compose.yml",
          COMPOSE_ENV_FILES: "/dev/null",
        };
        const args = ["deploy/rolling-restart.sh", "--pause", "2", "compose", service];
        await run("bash", args, { cwd: ROOT, env: { ...env, ...settings }, timeout: ROLLING_MS, maxBuffer: 64 << 20 });
      },
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    const state = [await compose(["ps", "--all"]), await compose(["logs", "--tail", "20"])].join("\n");
    await remove();
    throw new Error(`The cluster did not come up. Its containers:\n${state}`, { cause: error });
  }

  /**
   * Waits until HAProxy has found every running pusher and publisher ready. They have no health checks of their own.
   */
  async function untilServing(): Promise<void> {
    for (const service of ["pusher", "publisher"]) {
      const running = (await compose(["ps", "--quiet", service])).split("\n").length;
      while ((await readyServers(`${service}s`)) !== running) await delay(250);
    }
  }

  /** Returns how many servers of a backend HAProxy sends requests to. */
  async function readyServers(backend: string): Promise<number> {
    const request = "GET /metrics?scope=backend HTTP/1.0\\r\\n\\r\\n";
    const script = `exec 3<>/dev/tcp/127.0.0.1/8404 && printf '${request}' >&3 && cat <&3`;
    const text = await compose(["exec", "-T", "haproxy", "bash", "-c", script]);
    return Number(new RegExp(`^haproxy_backend_active_servers{proxy="${backend}"} (\\d+)`, "m").exec(text)?.[1]);
  }

  async function describeContainer(id: string): Promise<Container> {
    const format = '{{index .Config.Labels "com.docker.compose.service"}} {{.Config.Hostname}}';
    const [service = "", hostname = ""] = (await docker(["inspect", "--format", format, id])).split(" ");
    return { id, service, hostname };
  }
}
