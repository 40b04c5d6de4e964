import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { missingBrowser, useBrowser } from "../support/browser.ts";
import { startLink } from "../support/link.ts";
import { portOf } from "../support/port.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/**
 * Starts a client in the page `/console`, from the script that publishers serve. Each backoff takes its longest delay.
 */
const START_CLIENT = `async (url) => {
  const { connect } = await import(new URL("client.js", location.href).href);
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
    const { pusher, publisher } = useCluster({ pusher: { PUSHER_WORKERS: "1" } });
    const browser = useBrowser();

    test("a waiting client reconnects as soon as the browser is online", async () => {
      await using link = await startLink(portOf(pusher.url));
      const page = await browser.newPage();
      await page.goto(`${publisher.url}/console`);
      await page.evaluate(`(${START_CLIENT})("ws://127.0.0.1:${link.port}/")`);
      await isIn(page, "open");

      await page.context().setOffline(true);
      link.cut();
      const wait = async () => (await statesOf(page)).find(({ retryInMs = 0 }) => retryInMs >= 8_000);
      await until("the client waits for a long time", wait, 40_000);
      link.heal();
      const since = performance.now();
      await page.context().setOffline(false);
      await isIn(page, "open");

      expect(performance.now() - since).toBeLessThan(6_000);
      await page.close();
    });
  },
);
