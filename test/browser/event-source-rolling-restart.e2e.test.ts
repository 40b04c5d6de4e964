import { expect, test } from "vitest";
import { startBalancer } from "../support/balancer.ts";
import { describeInBrowser, evaluateIn, startOrigin } from "../support/browser.ts";
import { startPusher } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { missingHaproxy, startHaproxy } from "../support/haproxy.ts";
import { portOf } from "../support/port.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** Starts many EventSources. They need many hosts, because a browser opens six TCP connections to each. */
const START_EVENT_SOURCES = `({ port, count }) => {
  globalThis.sources = Array.from({ length: count }, (_, at) => {
    const source = new EventSource("http://reader" + Math.floor(at / 5) + ".localhost:" + port + "/sse?topic=deploy");
    source.received = [];
    source.onmessage = ({ data }) => source.received.push(data);
    return source;
  });
}`;

const READERS = 200;

describeInBrowser("a rolling restart with EventSource in a browser", (browser) => {
  const { nats, history: publications } = useCluster({});

  test.for([
    ["a TCP balancer", undefined, (ports: () => readonly number[]) => startBalancer(ports)],
    ["HAProxy", missingHaproxy, (ports: () => readonly number[]) => startHaproxy(ports())],
  ] as const)(
    "each EventSource resumes without a gap after a rolling restart of two pushers behind %s",
    async ([, missing, balance], { skip, onTestFinished }) => {
      if (missing !== undefined) skip(missing);
      const env = { PUSHER_WORKERS: "1", PUSHER_DRAIN_SECONDS: "2" };
      const pushers = await Promise.all([1, 2].map(() => startPusher({ nats: nats.url, env })));
      onTestFinished(async () => {
        for (const each of pushers) await each[Symbol.asyncDispose]();
      });
      await using application = await startOrigin();
      await using balancer = await balance(() => pushers.map(({ url }) => portOf(url)));
      await using page = await browser.newPage();
      await page.goto(application.url);
      await evaluateIn(page, START_EVENT_SOURCES, { port: balancer.port, count: READERS });
      const openNow = () => page.evaluate<number>("sources.filter(({ readyState }) => readyState === 1).length");
      const untilAllOpen = () => until("all streams are open", async () => (await openNow()) === READERS, 30_000);
      await untilAllOpen();
      const published: string[] = [];
      const haveLast = () =>
        page.evaluate<number>(`sources.filter(({ received }) => received.at(-1) === "${published.at(-1)}").length`);
      let isPublishing = true;
      const publishing = (async () => {
        while (isPublishing) {
          published.push(String(published.length));
          await publications.append(topic("deploy"), published.at(-1) ?? "");
          await until("half of the readers have it", async () => (await haveLast()) >= READERS / 2, 30_000);
        }
      })();

      for (const [at, old] of pushers.entries()) {
        await old.process.stop("SIGTERM");
        pushers[at] = await startPusher({ nats: nats.url, env: { ...env, PUSHER_PORT: String(portOf(old.url)) } });
        await untilAllOpen();
      }
      isPublishing = false;
      await publishing;

      await until("all readers have the last publication", async () => (await haveLast()) === READERS, 20_000);
      const received = await page.evaluate<string[][]>("sources.map(({ received }) => received)");
      for (const each of received) expect(each).toEqual(published);
    },
  );
});
