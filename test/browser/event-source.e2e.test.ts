import { describe, expect, test } from "vitest";
import { evaluateIn, missingBrowser, startOrigin, useBrowser } from "../support/browser.ts";
import { publishToTopic } from "../support/bus.ts";
import { topic } from "../support/durable.ts";
import { startLink } from "../support/link.ts";
import { portOf } from "../support/port.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** Starts an EventSource. */
const START_EVENT_SOURCE = `({ url }) => {
  globalThis.welcomes = [];
  globalThis.events = [];
  globalThis.source = new EventSource(url);
  source.addEventListener("fanwire.welcome", ({ data }) => welcomes.push(JSON.parse(data)));
  source.onmessage = ({ data, lastEventId }) => events.push({ data, lastEventId });
}`;

/** Counts calls of the built-in handlers. */
const START_HANDLERS = `({ url }) => {
  globalThis.called = { open: 0, error: 0, escaped: [] };
  globalThis.isWelcome = false;
  globalThis.source = new EventSource(url);
  source.addEventListener("fanwire.welcome", () => { isWelcome = true; });
  source.onopen = () => called.open++;
  source.onerror = () => called.error++;
  for (const name of ["error", "open"]) {
    source.addEventListener("fanwire.event." + name, ({ data }) => called.escaped.push(data));
  }
}`;

describe.skipIf(missingBrowser !== undefined)(
  `EventSource in a browser${missingBrowser === undefined ? "" : ` (skipped: ${missingBrowser})`}`,
  () => {
    const { history: publications, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1" } });
    const browser = useBrowser();

    const append = async (...contents: string[]) => {
      for (const content of contents) await publications.append(topic("sse"), content);
    };

    test("EventSource subscribes from another origin and resumes by itself", async () => {
      await using link = await startLink(portOf(pusher.url));
      await using application = await startOrigin();
      const page = await browser.newPage();
      await page.goto(application.url);
      const eventsOf = () => page.evaluate<{ data: string; lastEventId: string }[]>("events");
      const welcomesOf = () => page.evaluate<{ recovered: boolean | null }[]>("welcomes");
      await evaluateIn(page, START_EVENT_SOURCE, { url: `http://127.0.0.1:${link.port}/sse?topic=sse` });
      await until("the welcome", async () => (await welcomesOf()).length === 1);
      await append("1", "2\nand more");
      await until("both publications arrive", async () => (await eventsOf()).length === 2);

      link.cut();
      await until("the client detects the loss", async () => (await page.evaluate("source.readyState")) === 0);
      await append("3", "4");
      link.heal();
      await until("the next welcome", async () => (await welcomesOf()).length === 2);
      await append("5");

      await until("all publications arrive", async () => (await eventsOf()).length >= 5);
      const events = await eventsOf();
      expect(events.map(({ data }) => data)).toEqual(["1", "2\nand more", "3", "4", "5"]);
      expect(new Set(events.map(({ lastEventId }) => lastEventId)).size).toBe(5);
      expect(await welcomesOf()).toMatchObject([{ recovered: null }, { recovered: true }]);
      await page.close();
    });

    test("events named error and open do not call onerror or onopen", async () => {
      await using application = await startOrigin();
      const page = await browser.newPage();
      await page.goto(application.url);
      await evaluateIn(page, START_HANDLERS, { url: `${pusher.sseUrl}?topic=named` });
      // A stream opens before NATS has confirmed its subscriptions, and its welcome is sent after that.
      await until("the reader is welcome", () => page.evaluate<boolean>("isWelcome"));

      for (const event of ["error", "open"]) {
        await publishToTopic(publications.bus, "named", `an ${event}`, [["Event", event]]);
      }

      await until("both publications arrive", () => page.evaluate<boolean>("called.escaped.length === 2"));
      expect(await page.evaluate("called")).toEqual({ open: 1, error: 0, escaped: ["an error", "an open"] });
      await page.close();
    });
  },
);
