import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pusherSettings } from "../../apps/pusher/src/config.ts";

const UNIT = fileURLToPath(new URL("../../deploy/systemd/fanwire@.service", import.meta.url));
const SERVICES = ["pusher", "publisher", "channel", "webhooks"];
/** In tenths. The services need the network, which counts as exposure. */
const MAX_EXPOSURE = 20;
/** Time of a pusher's stop beyond its drain, and files beyond its connections. */
const STOP_GRACE_SECONDS = 5;
const OTHER_FILES = 200;

const text = readFileSync(UNIT, "utf8");
const hasSystemd = spawnSync("systemd-analyze", ["--version"], { stdio: "ignore" }).status === 0;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fanwire-units-"));
  // systemd-analyze looks for the program, which is elsewhere here.
  const local = text.replaceAll("/usr/bin/node", process.execPath);
  for (const name of ["", ...SERVICES]) writeFileSync(join(folder, `fanwire@${name}.service`), local);
});
afterAll(() => rmSync(folder, { recursive: true }));

function analyze(...args: string[]) {
  const { status, stdout, stderr } = spawnSync("systemd-analyze", args, { encoding: "utf8", timeout: 60_000 });
  return { status, output: stdout + stderr };
}

const units = () => SERVICES.map((name) => join(folder, `fanwire@${name}.service`));

test.skipIf(!hasSystemd)("systemd accepts the unit for every service, without a message", () => {
  expect(analyze("verify", "--recursive-errors=yes", ...units())).toEqual({ status: 0, output: "" });
});

test.skipIf(!hasSystemd)("systemd rates the exposure of the unit as small", () => {
  const [unit = ""] = units();
  const { status, output } = analyze("security", "--offline=true", `--threshold=${MAX_EXPOSURE}`, unit);

  expect(status, output).toBe(0);
});

test("the unit leaves a pusher the time for its drain and the files for its connections", () => {
  const numberOf = (key: string) => Number(new RegExp(`^${key}=(\\d+)$`, "m").exec(text)?.[1]);
  const defaultOf = (name: "PUSHER_DRAIN_SECONDS" | "PUSHER_MAX_CONNECTIONS") =>
    Number(pusherSettings[name].parse(undefined));

  expect(numberOf("TimeoutStopSec")).toBeGreaterThan(defaultOf("PUSHER_DRAIN_SECONDS") + STOP_GRACE_SECONDS);
  expect(numberOf("LimitNOFILE")).toBeGreaterThan(defaultOf("PUSHER_MAX_CONNECTIONS") + OTHER_FILES);
  // V8 cannot start with it.
  expect(text).toMatch(/^MemoryDenyWriteExecute=no$/m);
});
