import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { accepts, natsServerPath } from "./nats.ts";
import { startProcess, type TestProcess } from "./process.ts";
import { until } from "./wait.ts";

type TestNatsNode = {
  /** Name in JetStream, such as in `cluster.leader` of a stream description. */
  readonly name: string;
  readonly url: string;
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts the node again on the same ports with the same data. */
  restart(): Promise<void>;
};

export type TestNatsCluster = AsyncDisposable & {
  readonly nodes: readonly TestNatsNode[];
  readonly urls: readonly string[];
  /** @throws if there is no node of that name. */
  node(name: string): TestNatsNode;
};

/** Starts a JetStream cluster. Resolves when it has a leader. */
export async function startNatsCluster(size = 3): Promise<TestNatsCluster> {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-nats-cluster-"));
  const ports = await freePorts(2 * size);
  const [clientPorts, routePorts] = [ports.slice(0, size), ports.slice(size)];
  const routes = routePorts.map((route) => `nats://127.0.0.1:${route}`).join(",");
  const nodes = routePorts.map((route, at) => {
    const name = `n${at + 1}`;
    const args = clusterArgs({ name, route, routes, folder: join(folder, name) });
    return new ClusterNode(name, clientPorts[at] ?? 0, args);
  });
  await Promise.all(nodes.map((node) => node.restart()));
  await until("JetStream has a leader", () =>
    nodes.some((node) => node.output().includes("cluster new metadata leader")),
  );

  return {
    nodes,
    urls: nodes.map(({ url }) => url),
    node: (name) => {
      const found = nodes.find((node) => node.name === name);
      if (found === undefined) throw new Error(`no node ${name}`);
      return found;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Returns the nats-server arguments for one node of a cluster. */
export function clusterArgs(node: { name: string; route: number; routes: string; folder: string }): string[] {
  return [
    ...["-n", node.name, "-js", "-sd", node.folder],
    ...["--cluster_name", "test", "--cluster", `nats://127.0.0.1:${node.route}`, "--routes", node.routes],
  ];
}

export class ClusterNode implements TestNatsNode {
  readonly name: string;
  readonly url: string;
  readonly #client: number;
  readonly #args: readonly string[];
  #server: TestProcess | undefined;

  constructor(name: string, client: number, args: readonly string[]) {
    this.name = name;
    this.url = `nats://127.0.0.1:${client}`;
    this.#client = client;
    this.#args = ["-a", "127.0.0.1", "-p", String(client), ...args];
  }

  output(): string {
    return this.#server?.output() ?? "";
  }

  signal(signal: NodeJS.Signals): void {
    this.#server?.kill(signal);
  }

  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.#server?.stop(signal);
  }

  async restart(): Promise<void> {
    const server = startProcess(natsServerPath(), this.#args);
    this.#server = server;
    await until(`NATS node ${this.name} accepts connections`, () => {
      if (server.end()) throw new Error(`nats-server ended:\n${server.output()}`);
      return accepts(this.#client);
    });
  }
}
