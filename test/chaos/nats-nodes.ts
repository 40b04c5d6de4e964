import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../support/free-ports.ts";
import { type Link, startLink } from "../support/link.ts";
import { ClusterNode, clusterArgs } from "../support/nats-cluster.ts";
import { until } from "../support/wait.ts";

/** The shortest lame duck mode that nats-server allows. The default is two minutes. */
const CONFIG = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"\n';
const SIZE = 3;
const SMALL_DISK = "size=160m";

export type ChaosNode = {
  readonly server: ClusterNode;
  /** Folder of its data. */
  readonly folder: string;
  /** Whether its data is on a small disk of its own. */
  readonly hasOwnDisk: boolean;
  /** Link between the node and the services. */
  readonly clients: Link;
  /** Links between the node and the other nodes. */
  readonly routes: readonly Link[];
};

export type ChaosNats = AsyncDisposable & {
  readonly nodes: readonly ChaosNode[];
  /** URLs of the links, for services. */
  readonly urls: string;
  /** URLs of the nodes, for the suite. */
  readonly directUrls: readonly string[];
};

/**
 * Starts a JetStream cluster in which every connection, of clients and between nodes, passes a link of the suite. Nodes
 * advertise the address of their link to clients, and dial each other through links.
 */
export async function startChaosNats(): Promise<ChaosNats> {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-chaos-"));
  const config = join(folder, "nats.conf");
  await writeFile(config, CONFIG);
  const ports = await freePorts(2 * SIZE);
  const [clientPorts, routePorts] = [ports.slice(0, SIZE), ports.slice(SIZE)];
  const clientLinks = await Promise.all(clientPorts.map((port) => startLink(port, { readsNats: true })));
  // One link for each direction, because either node may dial.
  const routeLinks: { readonly ends: readonly number[]; readonly link: Link }[] = [];
  for (const [to, port] of routePorts.entries()) {
    for (let from = 0; from < SIZE; from++) {
      if (from !== to) routeLinks.push({ ends: [from, to], link: await startLink(port) });
    }
  }

  const nodes: ChaosNode[] = [];
  for (const [at, clients] of clientLinks.entries()) {
    const name = `n${at + 1}`;
    const data = join(folder, name);
    await mkdir(data);
    const dialled = routeLinks.filter(({ ends }) => ends[0] === at).map(({ link }) => link.url);
    const args = [
      ...clusterArgs({ name, route: routePorts[at] ?? 0, routes: dialled.join(","), folder: join(data, "store") }),
      ...["-c", config, "--client_advertise", `127.0.0.1:${clients.port}`],
      // Nodes advertise this address to each other. It leads nowhere, so that they cannot bypass the links.
      ...["--cluster_advertise", "127.0.0.1:1"],
    ];
    nodes.push({
      server: new ClusterNode(name, clientPorts[at] ?? 0, args),
      folder: data,
      hasOwnDisk: at === SIZE - 1 && mountSmallDisk(data),
      clients,
      routes: routeLinks.filter(({ ends }) => ends.includes(at)).map(({ link }) => link),
    });
  }
  const dispose = async () => {
    await Promise.all(nodes.map(({ server }) => server.stop()));
    for (const link of [...clientLinks, ...routeLinks.map((each) => each.link)]) await link[Symbol.asyncDispose]();
    for (const node of nodes) if (node.hasOwnDisk) execFileSync("umount", [node.folder]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all(nodes.map(({ server }) => server.restart()));
    const hasLeader = () => nodes.some(({ server }) => server.output().includes("cluster new metadata leader"));
    await until("JetStream has a leader", hasLeader, 60_000);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    nodes,
    urls: clientLinks.map(({ url }) => url).join(","),
    directUrls: nodes.map(({ server }) => server.url),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Fills the disk of a node to the last byte. Returns a function that frees the space. */
export async function fillDisk({ folder }: ChaosNode): Promise<() => Promise<void>> {
  const path = join(folder, "ballast");
  const file = await open(path, "w");
  try {
    for (let size = 1_048_576; size >= 1; ) {
      const isFull = await file.write(Buffer.alloc(size)).then(
        ({ bytesWritten }) => bytesWritten < size,
        () => true,
      );
      if (isFull) size = Math.floor(size / 16);
    }
  } finally {
    await file.close();
  }
  return () => rm(path);
}

/** Needs root and permission to mount. Without them no disk is filled. */
function mountSmallDisk(folder: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", SMALL_DISK, "tmpfs", folder], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
