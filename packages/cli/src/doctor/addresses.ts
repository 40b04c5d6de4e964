import { setTimeout as delay } from "node:timers/promises";
import { deadlineSignal } from "@fanwire/service";
import { WebSocket } from "ws";
import { apiUrl, clientUrl } from "../api/addresses.ts";
import type { Io } from "../io.ts";
import { type Finding, findingsOf } from "./finding.ts";

const report = findingsOf("addresses");
const TIMEOUT_MS = 5_000;
/** Tokens are refused when clocks differ by more than the leeway, 5 s by default. */
const MAX_CLOCK_DIFFERENCE_MS = 3_000;

/** Connects to a publisher and a pusher as backends and clients do, and compares the clocks. */
export async function checkAddresses({ env, signal }: Io): Promise<Finding[]> {
  return (await Promise.all([checkPublisher(apiUrl(env), signal), checkPusher(clientUrl(env), signal)])).flat();
}

async function checkPublisher(url: string, signal: AbortSignal): Promise<Finding[]> {
  try {
    const reply = await fetch(new URL("openapi.json", url.endsWith("/") ? url : `${url}/`), {
      signal: deadlineSignal(TIMEOUT_MS, signal),
    });
    const document = (await reply.json()) as { info?: { title?: string } };
    if (document.info?.title === undefined) throw new Error(`status ${reply.status}`);
    return [report.ok(`publisher at ${url}`), checkClock(reply.headers.get("date"), Date.now())];
  } catch (error) {
    signal.throwIfAborted();
    const { code } = ((error as Error).cause ?? {}) as { code?: string };
    return [
      report.warning(
        `No publisher answers at ${url} (${code ?? (error as Error).message}).`,
        "Set FANWIRE_API_URL to the address of a publisher or of the proxy in front of it.",
      ),
    ];
  }
}

/** `date` is the HTTP header, in whole seconds. */
export function checkClock(date: string | null, now: number): Finding {
  const theirs = Date.parse(date ?? "");
  if (Number.isNaN(theirs)) return report.skipped("the publisher sends no date, so the clocks were not compared");
  const difference = Math.max(0, Math.abs(now - theirs) - 1_000);
  if (difference <= MAX_CLOCK_DIFFERENCE_MS) return report.ok("the clock agrees with that of the publisher");
  return report.problem(
    `The clock differs from that of the publisher by ${Math.round(difference / 1_000)} s: fresh tokens may be refused.`,
    "Synchronise the clocks of all machines by NTP, for example with systemd-timesyncd or chrony.",
  );
}

async function checkPusher(url: string, signal: AbortSignal): Promise<Finding[]> {
  const problem = await handshakeProblem(url, signal);
  signal.throwIfAborted();
  if (problem === undefined) return [report.ok(`pusher at ${url}`)];
  return [
    report.warning(
      `No pusher accepts a WebSocket at ${url} (${problem}).`,
      "Set FANWIRE_CLIENT_URL to the address of a pusher or of the proxy in front of it.",
    ),
  ];
}

async function handshakeProblem(url: string, signal: AbortSignal): Promise<string | undefined> {
  const socket = new WebSocket(url, "fanwire.v1", { handshakeTimeout: TIMEOUT_MS });
  const outcome = await Promise.race([
    new Promise<string | undefined>((resolve) => {
      socket.on("message", (data) => resolve(isWelcome(String(data)) ? undefined : "another kind of server"));
      socket.on("error", (error) => resolve(error.message || (error as NodeJS.ErrnoException).code));
      socket.on("close", (code, reason) => resolve(`closed with ${code} ${reason}`.trim()));
    }),
    delay(TIMEOUT_MS, "no welcome within 5 s", { signal, ref: false }).catch(() => "interrupted"),
  ]);
  socket.terminate();
  return outcome;
}

function isWelcome(text: string): boolean {
  return text.startsWith('{"type":"welcome"');
}
