import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingBrowser, startBrowser } from "../support/browser.ts";
import { startPublisher, startPusher, type TestPublisher, type TestPusher } from "../support/cluster.ts";
import { startNats, type TestNats } from "../support/nats.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

/** Starts a client in the page `/try`, whose import map names the client. Each backoff takes its longest delay. */
const START_CLIENT = `async (url) => {
  const { connect } = await import("@fanwire/client");
  Math.random = () => 1;
  globalThis.states = [];
  globalThis.client = connect({ url, topics: ["a"], onState: (state) => states.push(state), onPublication: () => {} });
}`;

type State = { readonly state: string; readonly retryInMs?: number };

const statesOf = (page: Page) => page.evaluate<State[]>("states");
const isIn = (page: Page, wanted: string) =>
  until(`the client is ${wanted}`, async () => (await statesOf(page)).at(-1)?.state === wanted);

describe.skipIf(missingBrowser !== undefined)(
  `waking in a browser${missingBrowser === undefined ? "" : ` (skipped: ${missingBrowser})`}`,
  () => {
    let nats: TestNats;
    let pusher: TestPusher;
    let publisher: TestPublisher;
    let browser: Browser;

    beforeAll(async () => {
      nats = await startNats();
      [pusher, publisher, browser] = await Promise.all([
        startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } }),
        startPublisher({ nats: nats.url }),
        startBrowser(),
      ]);
    });
    afterAll(async () => {
      await browser?.close();
      for (const part of [pusher, publisher, nats]) await part?.[Symbol.asyncDispose]();
    });

    test("a waiting client connects as soon as the network is back", async () => {
      await using proxy = await startTcpProxy(Number(new URL(pusher.url).port));
      const page = await browser.newPage();
      await page.goto(`${publisher.url}/try`);
      await page.evaluate(`(${START_CLIENT})("ws://127.0.0.1:${proxy.port}/")`);
      await isIn(page, "open");

      await page.context().setOffline(true);
      proxy.cut();
      const wait = async () => (await statesOf(page)).find(({ retryInMs = 0 }) => retryInMs >= 8_000);
      await until("it waits for long", wait, 40_000);
      proxy.heal();
      const since = performance.now();
      await page.context().setOffline(false);
      await isIn(page, "open");

      expect(performance.now() - since).toBeLessThan(6_000);
      await page.close();
    });
  },
);
