import { type NatsBus, parseJson } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { expect, onTestFinished, test } from "vitest";
import { log, useBus } from "../testing.ts";
import { ChannelServers } from "./channel-servers.ts";
import { WorkerRegistry } from "./worker-registry.ts";
import { WorkerRequests } from "./worker-request.ts";

const AWAY = "aaaaaaa1";
const REQUEST = { command: "find-connection", connectionId: 1 } as const;

const subjects = new Subjects();
let bus: NatsBus;

useBus((started) => {
  bus = started;
});

/** Subscribes as a worker does, until the end of the test. */
function listen(subject: string, onRequest: (request: { readonly command?: string }) => object | undefined): void {
  const subscription = bus.subscribe(subject, (message) => {
    const reply = onRequest(parseJson(message) as { command?: string });
    if (reply !== undefined) message.respond(JSON.stringify(reply));
  });
  onTestFinished(() => subscription.unsubscribe());
}

/** Opens the requests of a publisher with the default timeouts, which knows a worker of another machine. */
function openRequests() {
  const registry = new WorkerRegistry({ bus, subjects, timeoutMs: 2_500, call: async () => [] });
  registry.seen(AWAY, "other/1/1");
  const channelServers = new ChannelServers({ bus, subjects, registry, log });
  onTestFinished(() => {
    registry.stop();
    channelServers.stop();
  });
  return new WorkerRequests({ bus, subjects, registry, channelServers, requestTimeoutMs: 2_000, log });
}

test.each([
  ["the others cannot know", { worker: "bbbbbbb1", hasEnded: null }],
  ["no other worker answers", undefined],
])("a worker that reconnects in time is reached, while %s whether it has ended", async (_name, answer) => {
  const reconnect = () => listen(subjects.worker(AWAY), () => ({ connection: null }));
  listen(subjects.allWorkers, ({ command }) => {
    if (command === "has-ended") reconnect();
    return answer;
  });

  expect(await openRequests().ask(AWAY, REQUEST)).toMatchObject({ ok: true });
});

test("the end of a worker is found, although the answer of the others comes after the next try", async () => {
  let tries = 0;
  let answer: (() => void) | undefined;
  const subscription = bus.subscribe(subjects.allWorkers, (message) => {
    if ((parseJson(message) as { command?: string }).command !== "has-ended") return;
    answer = () => message.respond(JSON.stringify({ worker: "bbbbbbb1", hasEnded: true }));
  });
  onTestFinished(() => subscription.unsubscribe());

  const outcome = await openRequests().send(AWAY, async () => {
    tries++;
    if (tries === 3) answer?.();
    return { ok: false, reason: "no-responders" };
  });

  expect(outcome).toEqual({ ok: false, reason: "connection-not-found" });
});
