import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createProgram, type Io, run } from "fanwire";
import { expect, test } from "vitest";
import { startNats } from "../support/nats.ts";
import { natsUser, startNatsWithUsers } from "../support/nats-users.ts";
import { oddTokens } from "../support/odd-tokens.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const KEY = "a-key-of-sixteen-characters";
const { nats, pusher, publisher } = useCluster({
  nats: startNatsWithUsers,
  pusher: { ...natsUser("pusher"), PUSHER_TOKEN_SECRET: SECRET },
  publisher: { ...natsUser("publisher"), PUBLISHER_API_KEYS: KEY },
});

const environment = () => ({
  FANWIRE_NATS_URL: nats.url,
  ...natsUser("publisher"),
  FANWIRE_API_URL: publisher.url,
  FANWIRE_CLIENT_URL: pusher.url,
  PUBLISHER_API_KEYS: KEY,
  PUSHER_TOKEN_SECRET: SECRET,
});

type Run = { readonly code: Promise<number>; output(): string; notes(): string; interrupt(): void };

/** Runs a command in this process. */
function fanwire(args: readonly string[], env: Io["env"] = {}, input = ""): Run {
  const interrupted = new AbortController();
  const written = { output: "", notes: "" };
  const io: Io = {
    env: { ...environment(), ...env },
    write: (text) => {
      written.output += text;
    },
    note: (line) => {
      written.notes += `${line}\n`;
    },
    readInput: async () => input,
    isTerminal: false,
    hasColors: false,
    columns: undefined,
    signal: interrupted.signal,
  };
  return {
    code: run(createProgram, io, args),
    output: () => written.output,
    notes: () => written.notes,
    interrupt: () => interrupted.abort(),
  };
}

test("tail receives what publish sends, with a token that it signs for these topics", async () => {
  const tail = fanwire(["tail", "news", "orders.*", "--count", "3", "--json"]);
  await until("subscribed", () => tail.notes().includes("subscribed to news orders.*"));

  const live = fanwire(["publish", "--topic", "news", "--receipt", "hello"]);
  expect(await live.code).toBe(0);
  const durable = fanwire(
    ["publish", "-t", "orders.7", "--durable", "--event", "paid", "-", "--json"],
    {},
    '{"total":9}',
  );
  expect(await durable.code).toBe(0);
  await until("the durable one arrives", () => tail.output().includes("orders.7"));
  const hidden = fanwire(["publish", "--topic", "other", "not for them"]);
  expect(await hidden.code).toBe(0);
  expect(await fanwire(["publish", "--everyone", "to all"]).code).toBe(0);
  expect(await tail.code).toBe(0);

  expect(live.output()).toMatch(/^published, 1 delivered, 0 buffered by 2 workers\n$/);
  const { position } = JSON.parse(durable.output());
  const received = tail
    .output()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(received).toMatchObject([
    { topic: "news", event: "message", data: "hello" },
    { topic: "orders.7", event: "paid", data: '{"total":9}', position },
    { event: "message", data: "to all" },
  ]);
});

test("tail resumes after a position, and Ctrl-C ends it without an error", async () => {
  const first = fanwire(["publish", "-t", "history", "--durable", "--json", "one"]);
  await first.code;
  await fanwire(["publish", "-t", "history", "--durable", "two"]).code;
  const { position } = JSON.parse(first.output());

  const tail = fanwire(["tail", "history", "--since", position]);
  await until("the second publication", () => tail.output().includes("two"));
  tail.interrupt();

  expect(await tail.code).toBe(0);
  expect(tail.output()).not.toContain("one");
  expect(tail.notes()).toContain("recovered: true");
});

test("a refused topic, a refused token and a wrong key end the command with a sentence", async () => {
  const minted = fanwire(["token", "--user", "alice", "--topic", "news"]);
  await minted.code;
  const refused = fanwire(["tail", "secret"], { FANWIRE_TOKEN: minted.output().trim() });
  expect(await refused.code).toBe(1);
  expect(refused.notes()).toMatch(/refuses secret|closed the connection permanently/);

  const foreign = fanwire(["tail", "news"], { FANWIRE_TOKEN: `${minted.output().trim()}x` });
  expect(await foreign.code).toBe(1);
  expect(foreign.notes()).toMatch(/closed the connection permanently \(4401\)/);

  const wrongKey = fanwire(["publish", "-t", "news", "x"], { FANWIRE_API_KEY: "another-key-of-sixteen" });
  expect(await wrongKey.code).toBe(1);
  expect(wrongKey.notes()).toContain("Give a key with --key or FANWIRE_API_KEY.");
});

test("token check accepts the tokens that a pusher accepts, and no others", async () => {
  const accepts = async (token: string) => {
    const stream = await fetch(`${pusher.sseUrl}?token=${encodeURIComponent(token)}`);
    await stream.body?.cancel();
    return stream.ok;
  };
  const differences: string[] = [];
  for (const [name, token] of Object.entries(oddTokens)) {
    const check = fanwire(["token", "check", token]);
    const isValid = (await check.code) === 0;
    if (isValid !== (await accepts(token))) differences.push(`${name}: ${check.output()}${check.notes()}`);
    if (!isValid) expect(check.notes(), name).not.toContain("    at ");
  }
  expect(differences).toEqual([]);
});

test("top shows every worker and service, and an address without a publisher is named", async () => {
  const top = fanwire(["top"]);
  expect(await top.code).toBe(0);
  expect(top.output()).toMatch(/2 workers/);
  expect(top.output()).toMatch(/publisher +\w+/);
  expect(top.output()).toContain("History: ");

  const lost = fanwire(["top"], { FANWIRE_API_URL: "http://127.0.0.1:1" });
  expect(await lost.code).toBe(1);
  expect(lost.notes()).toContain("http://127.0.0.1:1/ cannot be reached (bad port)");
});

test("the doctor finds no problem in this cluster", async () => {
  const doctor = fanwire(["doctor", "--json"]);
  expect(await doctor.code).toBe(0);

  const findings: { area: string; status: string; message: string }[] = JSON.parse(doctor.output());
  expect(findings.filter(({ status }) => status === "problem")).toEqual([]);
  const fine = findings.filter(({ status }) => status === "ok").map(({ area }) => area);
  for (const area of ["NATS", "permissions", "history", "services", "addresses"]) expect(fine).toContain(area);
});

test("the doctor names missing permissions, refused credentials and addresses where nothing answers", async () => {
  const denied = '{ user: mute, password: mute, permissions: { publish: { deny: ">" } } }';
  await using other = await startNats([], { config: `authorization { users: [${denied}] }`, jetStream: false });
  const channel = fanwire(["doctor", "--service", "pusher"], natsUser("channel"));
  const away = fanwire(["doctor"], { FANWIRE_NATS_URL: "127.0.0.1:1", FANWIRE_API_URL: "http://127.0.0.1:1" });
  const mute = { FANWIRE_NATS_URL: other.url, FANWIRE_NATS_USER: "mute", FANWIRE_NATS_PASSWORD: "mute" };
  const silent = fanwire(["doctor"], mute);
  const wrong = fanwire(["doctor"], { ...mute, FANWIRE_NATS_PASSWORD: "wrong" });
  for (const { code } of [channel, away, silent, wrong]) expect(await code).toBe(1);

  expect(channel.output()).toMatch(
    /problem +permissions +This NATS user may not publish to \S+.*subscribe to fanwire\.control\.workers/,
  );
  expect(channel.output()).toMatch(/problem +history +This NATS user may not read the stream .* which a pusher needs/);
  expect(away.output()).toMatch(/problem +NATS +127\.0\.0\.1:1 cannot be reached within 3 s/);
  expect(away.output()).toMatch(/warning +addresses +No publisher answers at http:\/\/127\.0\.0\.1:1/);
  expect(silent.output()).toMatch(
    /NATS +\S+ accepts the credentials, but messages to _INBOX\.mute\.> do not come back/,
  );
  expect(silent.output()).toMatch(/Permissions Violation for Publish to "_INBOX\.mute\./i);
  expect(wrong.output()).toMatch(/NATS +\S+ refuses the credentials: Authorization Violation/i);
});

test("the program runs from a clone, prints help, and its exit code is that of the command", async () => {
  const bin = fileURLToPath(new URL("../../packages/cli/bin/fanwire.mjs", import.meta.url));
  const start = (...args: string[]) => promisify(execFile)(process.execPath, [bin, ...args]);

  const [help, wrong] = await Promise.allSettled([start("tail", "--help"), start("publish")]);

  expect(help).toMatchObject({
    status: "fulfilled",
    value: { stdout: expect.stringContaining("Usage: fanwire tail") },
  });
  expect(wrong).toMatchObject({ status: "rejected", reason: { code: 2 } });
});
