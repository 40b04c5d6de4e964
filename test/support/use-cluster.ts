import type { HistoryConfig } from "@fanwire/bus";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { connectBus, type TestBus } from "./bus.ts";
import {
  startChannel,
  startPublisher,
  startPusher,
  type TestChannel,
  type TestPublisher,
  type TestPusher,
} from "./cluster.ts";
import { openPublications, type TestPublications } from "./durable.ts";
import { LatePart } from "./late-part.ts";
import { type Link, startLink } from "./link.ts";
import { startNats, type TestNats } from "./nats.ts";
import { beginTest, endTest } from "./open-clients.ts";
import type { TestProcess } from "./process.ts";

type Env = Readonly<Record<string, string>>;
type EnvOfTwo = Env | readonly [Env, Env];

export type ClusterOptions = {
  /** Configuration of nats-server, or a function that starts it. */
  readonly nats?: string | (() => Promise<TestNats>);
  /** Limits of the history, which is created before the services start. */
  readonly history?: Partial<HistoryConfig>;
  /** Settings of a service, or of the first and the second of its kind. */
  readonly pusher?: EnvOfTwo;
  readonly publisher?: EnvOfTwo;
  readonly channel?: EnvOfTwo;
};

export type Cluster = {
  readonly nats: TestNats;
  readonly bus: TestBus;
  readonly history: TestPublications;
  /** Link between the pushers and NATS. */
  readonly link: Link;
  readonly pusher: TestPusher;
  readonly pushers: readonly [TestPusher, TestPusher];
  readonly publisher: TestPublisher;
  readonly publishers: readonly [TestPublisher, TestPublisher];
  readonly channel: TestChannel;
  readonly channels: readonly [TestChannel, TestChannel];
};

type Part = AsyncDisposable & { readonly process?: TestProcess };

/** Log lines of each service that a failed test shows. */
const SHOWN_LINES = 20;

/**
 * Starts a cluster before the tests of a file, or of the `describe` that calls it, and ends it after them. NATS always
 * runs; the other parts are those that the caller reads from the result: `const { bus, pusher } = useCluster()`.
 * Clients that a test opens are closed when it ends.
 */
export function useCluster(options: ClusterOptions = {}): Cluster {
  const started: Part[] = [];
  const track = async <P extends Part>(starting: Promise<P>): Promise<P> => {
    const part = await starting;
    started.push(part);
    return part;
  };
  const stages = { early: [] as (() => Promise<void>)[], services: [] as (() => Promise<void>)[] };

  const nats = new LatePart<TestNats>("nats");
  const natsUrl = () => nats.part.url;
  const startIn = <P extends Part>(stage: keyof typeof stages, name: string, start: () => Promise<P>): P => {
    const late = new LatePart<P>(name);
    stages[stage].push(async () => late.set(await track(start())));
    return late.proxy;
  };

  let link: Link | undefined;
  const pusher = (at: 0 | 1) =>
    startIn("services", "pusher", () => startPusher({ nats: link?.url ?? natsUrl(), env: envOf(options.pusher, at) }));
  const publisher = (at: 0 | 1) =>
    startIn("services", "publisher", () => startPublisher({ nats: natsUrl(), env: envOf(options.publisher, at) }));
  const channel = (at: 0 | 1) =>
    startIn("services", "channel", () => startChannel({ nats: natsUrl(), env: envOf(options.channel, at) }));

  beforeAll(async () => {
    nats.set(await track(startNatsBy(options.nats)));
    for (const start of stages.early) await start();
    // Waits for every start, because a part that runs must be ended although another failed.
    const failed = (await Promise.allSettled(stages.services.map((start) => start()))).find(isRejected);
    if (failed) throw failed.reason;
  });
  beforeEach(({ onTestFailed, task }) => {
    onTestFailed(() => showLogs(started));
    // Tests that run at the same time close what they open.
    if (!task.concurrent) beginTest();
  });
  afterEach(endTest);
  afterAll(async () => {
    for (const part of started.reverse()) await part[Symbol.asyncDispose]();
  });

  return {
    nats: nats.proxy,
    get bus() {
      return startIn("early", "bus", () => connectBus(natsUrl()));
    },
    get history() {
      return startIn("early", "history", async () => {
        const opened = await openPublications([natsUrl()], options.history);
        await opened.history.state(); // creates the stream with these limits
        return opened;
      });
    },
    get link() {
      return startIn("early", "link", async () => {
        link = await startLink(nats.part.port, { readsNats: true });
        return link;
      });
    },
    get pusher() {
      return pusher(0);
    },
    get pushers(): Cluster["pushers"] {
      return [pusher(0), pusher(1)];
    },
    get publisher() {
      return publisher(0);
    },
    get publishers(): Cluster["publishers"] {
      return [publisher(0), publisher(1)];
    },
    get channel() {
      return channel(0);
    },
    get channels(): Cluster["channels"] {
      return [channel(0), channel(1)];
    },
  };
}

function startNatsBy(nats: ClusterOptions["nats"] = ""): Promise<TestNats> {
  return typeof nats === "string" ? startNats([], { config: nats }) : nats();
}

function envOf(env: EnvOfTwo = {}, at: 0 | 1): Env {
  return Array.isArray(env) ? env[at] : (env as Env);
}

function isRejected(result: PromiseSettledResult<void>): result is PromiseRejectedResult {
  return result.status === "rejected";
}

function showLogs(parts: readonly Part[]): void {
  for (const { process } of parts) {
    if (process) console.log(process.output().trimEnd().split("\n").slice(-SHOWN_LINES).join("\n"));
  }
}
