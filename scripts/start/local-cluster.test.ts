import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { maxFrameBytes } from "../../apps/channel/src/wire/frames.ts";
import { freePorts } from "../../test/support/free-ports.ts";
import { temporaryFolder } from "../testing.ts";
import { LocalCluster } from "./local-cluster.ts";
import { findNatsServer } from "./nats-server.ts";
import type { ServiceSpec } from "./services.ts";

let root: string;
let said: string[];
let lines: string[];
let clusters: LocalCluster[];

beforeEach(() => {
  root = temporaryFolder();
  said = [];
  lines = [];
  clusters = [];
});

afterEach(async () => {
  for (const cluster of clusters) cluster.kill();
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

/** Ready when NATS greets it. It logs what it was given. Its body can log more. */
const serviceCode = `
  import { createServer } from "node:http";
  import { connect } from "node:net";
  const { FANWIRE_NATS_URL, NAME, ADMIN, WISH } = process.env;
  console.log(JSON.stringify({ level: "info", msg: "given", nats: FANWIRE_NATS_URL, wish: WISH }));
  createServer((request, response) => {
    const nats = connect(Number(new URL(FANWIRE_NATS_URL).port), "127.0.0.1");
    nats.once("error", () => response.writeHead(503).end("no NATS"));
    nats.once("data", () => { response.end("ready"); nats.destroy(); });
  }).listen(Number(process.env[process.argv[1].match(/([a-z]+).mjs$/)[1].toUpperCase() + "_ADMIN_PORT"]), "127.0.0.1");
  process.on("SIGTERM", () => { console.log("asked to stop"); process.exit(0); });
`;

function writeService(name: string, code = serviceCode): ServiceSpec {
  const main = `${name}.mjs`;
  writeFileSync(join(root, main), code);
  return { name, main, port: 1, adminPort: 1, defaults: { WISH: "default" }, urls: () => [], examples: () => [] };
}

async function createCluster(
  services: readonly ServiceSpec[],
  extra: NodeJS.ProcessEnv = {},
  natsPort?: number,
  folder = root,
  findNats = findNatsServer,
): Promise<LocalCluster> {
  const env: NodeJS.ProcessEnv = { ...process.env, FANWIRE_NATS_URL: "", ...extra };
  for (const { name } of services) {
    for (const kind of ["PORT", "ADMIN_PORT"]) env[`${name.toUpperCase()}_${kind}`] ??= String(await findFreePort());
  }
  const cluster = new LocalCluster({
    root: folder,
    services,
    env,
    natsPort: natsPort ?? (await findFreePort()),
    nodeFlags: [],
    findNats,
    say: (line) => said.push(line),
    onLine: (name, line) => lines.push(`${name}: ${line}`),
  });
  clusters.push(cluster);
  return cluster;
}

/**
 * Not one of the ports that the system gives to outgoing connections: one of those may take it before the service
 * starts.
 */
async function findFreePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port ?? expect.fail("no port was found");
}

/** Listens on a port until the end of the test, on a free one by default. */
async function listen(port = 0, server = createServer()): Promise<number> {
  server.listen(port, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port; // a TCP server has an AddressInfo
}

function recordedPid(name: string): number {
  const { children } = JSON.parse(readFileSync(join(root, ".fanwire", "running.json"), "utf8")) as {
    children: { name: string; pid: number }[];
  };
  return children.findLast((child) => child.name === name)?.pid ?? expect.fail(`${name} is not recorded`);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("NATS and the services start, know of each other, and stop without a trace", async () => {
  const cluster = await createCluster([writeService("one"), writeService("two")], { WISH: "" });

  const natsUrl = await cluster.start();

  const pids = ["nats-server", "one", "two"].map(recordedPid);
  expect(pids.map(isAlive)).toEqual([true, true, true]);
  expect(lines).toContain(`one: {"level":"info","msg":"given","nats":"${natsUrl}","wish":"default"}`);
  expect(said.join("\n")).toMatch(/one is ready after .* s\./);
  await cluster.stop();
  expect(lines).toEqual(expect.arrayContaining(["one: asked to stop", "two: asked to stop"]));
  expect(pids.map(isAlive)).toEqual([false, false, false]);
  expect(() => recordedPid("one")).toThrow("ENOENT");
});

test("with FANWIRE_NATS_URL no NATS is started, and a variable of the user's wins over our default", async () => {
  const elsewhere = createServer((socket) => socket.end("INFO {}\r\n"));
  const url = `nats://127.0.0.1:${await listen(0, elsewhere)}`;
  const cluster = await createCluster([writeService("one")], { FANWIRE_NATS_URL: url, WISH: "mine" });

  expect(await cluster.start()).toBe(url);

  expect(lines).toContain(`one: {"level":"info","msg":"given","nats":"${url}","wish":"mine"}`);
  expect(() => recordedPid("nats-server")).toThrow("not recorded");
});

test("a service that ends before it is ready fails the start, with its last words", async () => {
  const broken = writeService("broken", `console.error("listen EADDRINUSE :::4236"); process.exit(3);`);
  const cluster = await createCluster([writeService("one"), broken]);

  await expect(cluster.start()).rejects.toThrow(
    /broken has ended \(exit code 3\)\. Its last words:\n {4}listen EADDRINUSE/,
  );
});

test("a service that dies later is a reason to stop", async () => {
  const cluster = await createCluster([writeService("one")]);
  await cluster.start();

  process.kill(recordedPid("one"), "SIGKILL");

  expect(await cluster.failed).toBe("one has ended (ended by SIGKILL).");
});

test("our own NATS uses another port if its port is taken, and the output names it", async () => {
  const natsPort = await listen();
  const cluster = await createCluster([], {}, natsPort);

  const url = await cluster.start();

  expect(url).not.toBe(`nats://127.0.0.1:${natsPort}`);
  expect(said[1]).toBe(`Port ${natsPort} is taken: our own NATS gets port ${new URL(url).port}.`);
});

test("two clusters that start together on the same NATS port get a server each", async () => {
  const natsPort = await findFreePort();
  const both = [await createCluster([], {}, natsPort), await createCluster([], {}, natsPort, temporaryFolder())];

  const urls = await Promise.all(both.map((cluster) => cluster.start()));

  expect(new Set(urls).size).toBe(2);
  expect(urls).toContain(`nats://127.0.0.1:${natsPort}`);
});

test("another server that binds the port first is not mistaken for ours, even if it greets like NATS", async () => {
  const stranger = createServer((socket) => socket.on("error", () => {}).write('INFO {"server_name":"stranger"}\r\n'));
  const natsPort = await findFreePort();
  const cluster = await createCluster([], {}, natsPort, root, async (options) => {
    const found = await findNatsServer(options);
    const path = join(root, "slow-nats-server");
    const script = `touch started\nwhile [ ! -e go ]; do sleep 0.05; done\nexec "${found.path}" "$@"`;
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return { ...found, path };
  });

  const start = cluster.start();
  await vi.waitFor(() => expect(existsSync(join(root, "started"))).toBe(true), { timeout: 15_000 });
  await listen(natsPort, stranger);
  writeFileSync(join(root, "go"), "");
  const url = await start;

  expect(url).not.toBe(`nats://127.0.0.1:${natsPort}`);
});

test("FANWIRE_NATS_PORT is used or refused, never replaced", async () => {
  const free = String(await findFreePort());

  await expect((await createCluster([], { FANWIRE_NATS_PORT: "nats" })).start()).rejects.toThrow("must be a port");
  await clusters[0]?.stop();
  expect(await (await createCluster([], { FANWIRE_NATS_PORT: free })).start()).toBe(`nats://127.0.0.1:${free}`);
});

test("max_payload of our own NATS exceeds the largest frame of the channel server", async () => {
  const cluster = await createCluster([]);
  const socket = connect(Number(new URL(await cluster.start()).port), "127.0.0.1");

  const [greeting] = await once(socket, "data");

  const { max_payload: maxPayload } = JSON.parse(String(greeting).replace(/^INFO /, ""));
  expect(maxPayload).toBeGreaterThan(maxFrameBytes);
  socket.destroy();
});

test("NATS that dies is started again, at the same address", async () => {
  const cluster = await createCluster([writeService("one")]);
  const url = await cluster.start();
  const first = recordedPid("nats-server");

  process.kill(first, "SIGKILL");

  await vi.waitFor(() => expect(said).toContain(`nats-server is back on ${url}.`), { timeout: 15_000 });
  expect(recordedPid("nats-server")).not.toBe(first);
});

test.each(["FANWIRE_NATS_PORT", "ONE_PORT"])("a taken %s is reported before anything starts", async (name) => {
  const port = String(await listen());
  const cluster = await createCluster([writeService("one")], { [name]: port });

  await expect(cluster.start()).rejects.toThrow(
    `Port ${port} is taken. Stop what listens there, or choose another with ${name}=`,
  );

  expect(() => recordedPid("one")).toThrow("not recorded");
  expect(() => recordedPid("nats-server")).toThrow("not recorded");
});

test("a stop while it starts ends what has started", async () => {
  const neverReady = writeService("one", `console.log("up"); setInterval(() => {}, 1000);`);
  const cluster = await createCluster([neverReady]);
  const start = cluster.start();
  const rejected = expect(start).rejects.toThrow();
  await vi.waitFor(() => expect(lines).toContain("one: up"), { timeout: 15_000 });
  // A process is recorded a moment after it has started.
  const pids = await vi.waitFor(() => ["nats-server", "one"].map(recordedPid), { timeout: 15_000 });

  await cluster.stop();

  await rejected;
  expect(pids.map(isAlive)).toEqual([false, false]);
});

test("a start ends the processes that an earlier start left behind", async () => {
  // The earlier start was killed, so that nothing ends these processes.
  const left = ["nats-server", "one"].map((name) => {
    const { pid = 0 } = spawn(process.execPath, ["-e", "setInterval(() => {}, 1_000)"], {
      detached: true,
      stdio: "ignore",
    });
    onTestFinished(() => {
      if (isAlive(pid)) process.kill(pid, "SIGKILL");
    });
    return { name, pid, command: readFileSync(`/proc/${pid}/cmdline`, "utf8") };
  });
  const folder = join(root, ".fanwire");
  mkdirSync(folder);
  const owner = { name: "npm start", pid: 2 ** 22 - 1, command: "ended" };
  writeFileSync(join(folder, "running.json"), JSON.stringify({ owner, children: left }));

  const next = await createCluster([writeService("one")]);
  await next.start();

  expect(said.join("\n")).toContain("which an earlier start left running");
  await vi.waitFor(() => expect(left.map(({ pid }) => isAlive(pid))).toEqual([false, false]));
});
