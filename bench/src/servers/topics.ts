import { startCalledChild } from "../calls.ts";
import { type Dialect, plainDialect } from "../client/dialect.ts";
import { decodeSequence } from "../content.ts";
import type { Lab } from "../lab.ts";
import { type PublishPlan, publishPaced } from "../pacer.ts";
import { rawProtocol, startPusher } from "./pusher.ts";
import type { RunningServer } from "./server.ts";

/** `topicsEach`: 0 is one topic for all. A publication of the load is one to a topic of each connection. */
export type Spread = { clients: number; topicsEach: number };

/** Calls of `topics-main.ts`. `listen` with null starts a server that publishes itself, by `publish`. */
export type TopicsCalls = {
  listen: { ask: { natsUrl: string; prefix: string } | null; answer: { port: number } };
  publish: { ask: { plan: PublishPlan; spread: Spread }; answer: number };
};

/** Prefix of a topic's subject. The names of the bench need no encoding. */
const PREFIX = "fanwire.live.topic.";
const ONE_TOPIC = "all";

/** Returns the topics of publication number `sequence`. The topics of one connection take turns. */
export function topicsAt({ clients, topicsEach }: Spread, sequence: number): string[] {
  if (topicsEach === 0) return [ONE_TOPIC];
  return Array.from({ length: clients }, (_, index) => `${index}.${sequence % topicsEach}`);
}

export async function startPusherWithTopics(lab: Lab, spread: Spread): Promise<RunningServer> {
  const running = await startPusher(lab, { dialect: dialectFor(rawProtocol, spread) });
  return { ...running, publish: publishOverNats(lab, spread) };
}

/** uWebSockets.js alone: the cost of the topics themselves. */
export async function startBareTopics(lab: Lab, spread: Spread): Promise<RunningServer> {
  const { child, running } = await startTopics(lab, spread, null);
  return { ...running, publish: (plan) => child.call("publish", { plan, spread }) };
}

/** uWebSockets.js with a nats.js subscription per topic. */
export async function startNaiveTopics(lab: Lab, spread: Spread): Promise<RunningServer> {
  const { running } = await startTopics(lab, spread, { natsUrl: lab.natsUrl, prefix: PREFIX });
  return { ...running, publish: publishOverNats(lab, spread) };
}

async function startTopics(lab: Lab, spread: Spread, source: TopicsCalls["listen"]["ask"]) {
  const main = new URL("./topics-main.ts", import.meta.url);
  const child = await startCalledChild<TopicsCalls>(lab.children, "topics", main);
  const { port } = await child.call("listen", source);
  const { pid, died, stop } = child;
  const dialect = dialectFor({ ...plainDialect, greetings: 1 }, spread);
  return { child, running: { pid, died, stop, address: { host: "127.0.0.1", port }, dialect } };
}

function dialectFor(dialect: Dialect, { topicsEach }: Spread): Dialect {
  const names = topicsEach === 0 ? [ONE_TOPIC] : Array.from({ length: topicsEach }, (_, at) => `{index}.${at}`);
  return { ...dialect, path: `/?${names.map((name) => `topic=${name}`).join("&")}` };
}

function publishOverNats(lab: Lab, spread: Spread): RunningServer["publish"] {
  return (plan) =>
    publishPaced(plan, (contents) => {
      for (const content of contents) {
        const subjects = topicsAt(spread, decodeSequence(content, 0)).map((topic) => PREFIX + topic);
        lab.publisher.publish(subjects, [content]);
      }
    });
}
