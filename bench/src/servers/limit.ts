import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { plainDialect } from "../client/dialect.ts";
import type { Lab } from "../lab.ts";
import { publishPaced } from "../pacer.ts";
import { Absent, type RunningServer, type Server } from "./server.ts";

export const limitEach: Server = {
  name: "limit",
  summary: "a C program that does one send() for each delivery",
  start: (lab) => startLimit(lab, "each", contentOnly),
};

export const limitBatched: Server = {
  name: "limit-batched",
  summary: "the same with one send() for each connection and all that is pending",
  start: (lab) => startLimit(lab, "batched", contentOnly),
};

export const limitBatchedFanwire: Server = {
  name: "limit-batched-v1",
  summary: "the same with messages of fanwire.v1",
  start: (lab) => startLimit(lab, "batched", fanwirePublication),
};

export const limitPatientFanwire: Server = {
  name: "limit-patient-v1",
  summary: "the same without waiting: a connection that cannot take everything immediately gets the rest later",
  start: (lab) => startLimit(lab, "patient", fanwirePublication),
};

function fanwirePublication(content: Buffer): string {
  return `{"type":"publication","event":"message","data":"${content.toString()}"}`;
}

function contentOnly(content: Buffer): string {
  return content.toString();
}

async function startLimit(
  lab: Lab,
  mode: "each" | "batched" | "patient",
  payloadOf: (content: Buffer) => string,
): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), "fanwire-bench-limit-"));
  const child = lab.children.start("limit", compile(folder), [mode], { stdio: ["pipe", "pipe", "pipe"] });
  while (!child.tail().includes("\n")) await Promise.race([delay(5), child.died]);
  return {
    pid: child.pid,
    died: child.died,
    address: { host: "127.0.0.1", port: Number(child.tail()) },
    dialect: plainDialect,
    publish: (plan) =>
      publishPaced(plan, (contents) => child.process.stdin?.write(recordOf(contents.map(payloadOf).map(textFrame)))),
    stop: async () => {
      await child.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function compile(folder: string): string {
  const program = join(folder, "limit");
  const source = fileURLToPath(new URL("./limit.c", import.meta.url));
  try {
    execFileSync("cc", ["-O2", "-o", program, source], { stdio: "ignore" });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw new Absent("there is no C compiler (cc)", { cause: error });
  }
  return program;
}

/** Unmasked, as a server writes it; below 64 KiB. */
function textFrame(payload: string): Buffer {
  const { length } = payload;
  const header = length < 126 ? [0x81, length] : [0x81, 126, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), Buffer.from(payload)]);
}

/** Input of limit.c. Its numbers have the machine's byte order, which is little-endian wherever Node runs. */
function recordOf(frames: readonly Buffer[]): Buffer {
  const numbers = Uint32Array.from([frames.length, ...frames.map((frame) => frame.length)]);
  return Buffer.concat([Buffer.from(numbers.buffer), ...frames]);
}
