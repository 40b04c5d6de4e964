import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { maxFrameBytes } from "../../apps/channel/src/wire/frames.ts";
import { freePorts } from "../../test/support/free-ports.ts";
import { LocalCluster } from "./local-cluster.ts";
import { findNatsServer } from "./nats-server.ts";
import type { ServiceSpec } from "./services.ts";

let root: string;
let said: string[];
let lines: string[];
let clusters: LocalCluster[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fanwire-start-"));
  said = [];
  lines = [];
  clusters = [];
});

afterEach(async () => {
  for (const cluster of clusters) cluster.kill();
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  rmSync(root, { recursive: true, force: true });
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
  writeFileSync(join(root, `${name}.mjs`), code);
  return {
    name,
    main: `${name}.mjs`,
    port: 1,
    adminPort: 1,
    defaults: { WISH: "default" },
    urls: () => [],
    examples: () => [],
  };
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
  if (port === undefined) throw new Error("no port was found");
  return port;
}

function recordedPid(name: string): number {
  const { children } = JSON.parse(readFileSync(join(root, ".fanwire", "running.json"), "utf8")) as {
    children: { name: string; pid: number }[];
  };
  const pid = children.findLast((child) => child.name === name)?.pid;
  if (pid === undefined) throw new Error(`${name} is not recorded`);
  return pid;
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
  elsewhere.listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  const address = elsewhere.address();
  const url = `nats://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  const cluster = await createCluster([writeService("one")], { FANWIRE_NATS_URL: url, WISH: "mine" });

  expect(await cluster.start()).toBe(url);

  expect(lines).toContain(`one: {"level":"info","msg":"given","nats":"${url}","wish":"mine"}`);
  expect(() => recordedPid("nats-server")).toThrow("not recorded");
  await cluster.stop();
  elsewhere.close();
});

test("a service that ends before it is ready fails the start, with its last words", async () => {
  const broken = writeService("broken", `console.error("listen EADDRINUSE :::4236"); process.exit(3);`);
  const cluster = await createCluster([writeService("one"), broken]);

  const start = cluster.start();

  await expect(start).rejects.toThrow(/broken has ended \(exit code 3\)\. Its last words:\n {4}listen EADDRINUSE/);
});

test("a service that dies later is a reason to stop", async () => {
  const cluster = await createCluster([writeService("one")]);
  await cluster.start();

  process.kill(recordedPid("one"), "SIGKILL");

  expect(await cluster.failed).toBe("one has ended (ended by SIGKILL).");
});

test("our own NATS uses another port if its port is taken, and the output names it", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  const natsPort = typeof address === "object" && address ? address.port : 0;
  const cluster = await createCluster([], {}, natsPort);

  const url = await cluster.start();

  expect(url).not.toBe(`nats://127.0.0.1:${natsPort}`);
  expect(said[1]).toBe(`Port ${natsPort} is taken: our own NATS gets port ${new URL(url).port}.`);
  other.close();
});

test("two clusters that start together on the same NATS port get a server each", async () => {
  const natsPort = await findFreePort();
  const otherRoot = mkdtempSync(join(tmpdir(), "fanwire-start-"));
  onTestFinished(() => rmSync(otherRoot, { recursive: true, force: true }));
  const both = [await createCluster([], {}, natsPort), await createCluster([], {}, natsPort, otherRoot)];

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
    writeFileSync(
      path,
      `#!/bin/sh\ntouch started\nwhile [ ! -e go ]; do sleep 0.05; done\nexec "${found.path}" "$@"\n`,
    );
    chmodSync(path, 0o755);
    return { ...found, path };
  });

  const start = cluster.start();
  await vi.waitFor(() => expect(existsSync(join(root, "started"))).toBe(true), { timeout: 15_000 });
  stranger.listen(natsPort, "127.0.0.1");
  await once(stranger, "listening");
  writeFileSync(join(root, "go"), "");
  const url = await start;

  expect(url).not.toBe(`nats://127.0.0.1:${natsPort}`);
  stranger.close();
});

test("FANWIRE_NATS_PORT is used or refused, never replaced", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  const taken = typeof address === "object" ? String(address?.port) : "";
  const free = String(await findFreePort());

  await expect((await createCluster([], { FANWIRE_NATS_PORT: taken })).start()).rejects.toThrow(
    `Port ${taken} is taken. Stop what listens there, or choose another with FANWIRE_NATS_PORT=`,
  );
  await expect((await createCluster([], { FANWIRE_NATS_PORT: "nats" })).start()).rejects.toThrow("must be a port");
  await clusters[0]?.stop();
  expect(await (await createCluster([], { FANWIRE_NATS_PORT: free })).start()).toBe(`nats://127.0.0.1:${free}`);
  other.close();
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

test("a taken port is reported before anything starts", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  const port = typeof address === "object" ? String(address?.port) : "";
  const cluster = await createCluster([writeService("one")], { ONE_PORT: port });

  await expect(cluster.start()).rejects.toThrow(
    `Port ${port} is taken. Stop what listens there, or choose another with ONE_PORT=`,
  );

  expect(said).toEqual([]);
  other.close();
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
