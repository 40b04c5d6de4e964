import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { startBalancer } from "../support/balancer.ts";
import { missingBrowser, startOrigin, useBrowser } from "../support/browser.ts";
import { publishToTopic } from "../support/bus.ts";
import { startPusher } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { missingHaproxy, startHaproxy } from "../support/haproxy.ts";
import { startLink } from "../support/link.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** Starts a client in the page `/console`, from the script that publishers serve. */
const START_CLIENT = `async ({ renewsToken, ...options }) => {
  const { connect } = await import(new URL("client.js", location.href).href);
  globalThis.states = [];
  globalThis.publications = [];
  globalThis.client = connect({
    ...options,
    token: renewsToken ? () => renewToken() : undefined,
    onState: (state) => states.push(state),
    onPublication: (publication) => publications.push(publication),
  });
}`;
/** Starts an EventSource. */
const START_EVENT_SOURCE = `({ url }) => {
  globalThis.welcomes = [];
  globalThis.events = [];
  globalThis.source = new EventSource(url);
  source.addEventListener("fanwire.welcome", ({ data }) => welcomes.push(JSON.parse(data)));
  source.onmessage = ({ data, lastEventId }) => events.push({ data, lastEventId });
}`;

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
/** Reads the first event of a stream with `fetch`. */
const FETCH_FIRST_EVENT = `async ({ url, headers }) => {
  const response = await fetch(url, { headers });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("data: ")) text += (await reader.read()).value;
  await reader.cancel();
  return text;
}`;
/** Returns the first frame of a WebSocket and the selected subprotocol. */
const OPEN_WEB_SOCKET = `({ url, protocols }) => new Promise((resolve) => {
  const socket = new WebSocket(url, protocols);
  socket.onmessage = ({ data }) => resolve({ data, protocol: socket.protocol });
  socket.onclose = ({ code }) => resolve({ code });
})`;
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

type State = { readonly state: string; readonly recovered?: boolean | null; readonly code?: number };
type Received = { readonly data: string; readonly recovered: boolean };

const call = (page: Page, script: string, argument: unknown) =>
  page.evaluate(`(${script})(${JSON.stringify(argument)})`);
const statesOf = (page: Page) => page.evaluate<State[]>("states");
const lastStateOf = async (page: Page) => (await statesOf(page)).at(-1);
const heardBy = async (page: Page) =>
  (await page.evaluate<Received[]>("publications")).map(({ data, recovered }) => [data, recovered]);
const portOf = ({ url }: { readonly url: string }) => Number(new URL(url).port);

describe.skipIf(missingBrowser !== undefined)(
  `in a browser${missingBrowser === undefined ? "" : ` (skipped: ${missingBrowser})`}`,
  () => {
    const {
      nats,
      history: publications,
      pushers: [pusher, guarded],
      publisher,
    } = useCluster({
      pusher: [
        { PUSHER_WORKERS: "1" },
        { PUSHER_WORKERS: "1", PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_LEEWAY_SECONDS: "0" },
      ],
    });
    const browser = useBrowser();

    const append = async (name: string, ...contents: string[]) => {
      for (const content of contents) await publications.append(topic(name), content);
    };
    const untilOpen = (page: Page) =>
      until("the client is open", async () => (await lastStateOf(page))?.state === "open");

    test("the client reconnects and resumes without a gap or a duplicate", async () => {
      await using link = await startLink(portOf(pusher));
      const page = await browser.newPage();
      await page.goto(`${publisher.url}/console`);
      await call(page, START_CLIENT, { url: `ws://127.0.0.1:${link.port}/`, topics: ["orders.*"] });
      await untilOpen(page);
      await page.evaluate(`client.subscribe("news")`);
      await append("news", "1");
      await append("orders.7", "2");
      await until("both publications arrive", async () => (await heardBy(page)).length === 2);

      link.cut();
      await until("the client detects the loss", async () => (await lastStateOf(page))?.state !== "open");
      await append("news", "3");
      await append("orders.8", "4");
      link.heal();
      await untilOpen(page);
      await append("news", "5");

      await until("all publications arrive", async () => (await heardBy(page)).length >= 5);
      expect(await heardBy(page)).toEqual([
        ["1", false],
        ["2", false],
        ["3", true],
        ["4", true],
        ["5", false],
      ]);
      const states = await statesOf(page);
      expect(states.find(({ state }) => state === "waiting")).toMatchObject({ code: 1006 });
      expect(states.at(-1)).toMatchObject({ state: "open", recovered: true });
      await page.close();
    });

    test("EventSource subscribes from another origin and resumes by itself", async () => {
      await using link = await startLink(portOf(pusher));
      await using application = await startOrigin();
      const page = await browser.newPage();
      await page.goto(application.url);
      const eventsOf = () => page.evaluate<{ data: string; lastEventId: string }[]>("events");
      const welcomesOf = () => page.evaluate<{ recovered: boolean | null }[]>("welcomes");
      await call(page, START_EVENT_SOURCE, { url: `http://127.0.0.1:${link.port}/sse?topic=sse` });
      await until("the welcome", async () => (await welcomesOf()).length === 1);
      await append("sse", "1", "2\nand more");
      await until("both publications arrive", async () => (await eventsOf()).length === 2);

      link.cut();
      await until("the client detects the loss", async () => (await page.evaluate("source.readyState")) === 0);
      await append("sse", "3", "4");
      link.heal();
      await until("the next welcome", async () => (await welcomesOf()).length === 2);
      await append("sse", "5");

      await until("all publications arrive", async () => (await eventsOf()).length >= 5);
      const events = await eventsOf();
      expect(events.map(({ data }) => data)).toEqual(["1", "2\nand more", "3", "4", "5"]);
      expect(new Set(events.map(({ lastEventId }) => lastEventId)).size).toBe(5);
      expect(await welcomesOf()).toMatchObject([{ recovered: null }, { recovered: true }]);
      await page.close();
    });

    test("a page of another origin sends its token in a header or as a subprotocol", async () => {
      await using application = await startOrigin();
      const page = await browser.newPage();
      await page.goto(application.url);
      const jwt = await signToken({ sub: "berta", topics: ["own.b"] });
      const url = `${guarded.sseUrl}?topic=own.b`;
      const headers = { Authorization: `Bearer ${jwt}`, "Last-Event-ID": "elsewhere-1" };

      expect(await call(page, FETCH_FIRST_EVENT, { url, headers })).toContain("event: fanwire.welcome");
      const protocols = ["fanwire.v1", `token.${jwt}`];
      expect(await call(page, OPEN_WEB_SOCKET, { url: `${guarded.url}?topic=own.b`, protocols })).toEqual({
        data: expect.stringContaining('"welcome"'),
        protocol: "fanwire.v1",
      });
      expect(await call(page, OPEN_WEB_SOCKET, { url: guarded.url, protocols: ["fanwire.v1", "token.x"] })).toEqual({
        code: 4401,
      });
      await page.close();
    });

    test("events named error and open do not call onerror or onopen", async () => {
      await using application = await startOrigin();
      const page = await browser.newPage();
      await page.goto(application.url);
      await call(page, START_HANDLERS, { url: `${pusher.sseUrl}?topic=named` });
      // A stream opens before NATS has confirmed its subscriptions, and its welcome is sent after that.
      await until("the reader is welcome", () => page.evaluate<boolean>("isWelcome"));

      for (const event of ["error", "open"]) {
        await publishToTopic(publications.bus, "named", `an ${event}`, [["Event", event]]);
      }

      await until("both publications arrive", () => page.evaluate<boolean>("called.escaped.length === 2"));
      expect(await page.evaluate("called")).toEqual({ open: 1, error: 0, escaped: ["an error", "an open"] });
      await page.close();
    });

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
        await using balancer = await balance(() => pushers.map(portOf));
        const page = await browser.newPage();
        await page.goto(application.url);
        await call(page, START_EVENT_SOURCES, { port: balancer.port, count: READERS });
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
            await append("deploy", published.at(-1) ?? "");
            await until("half of the readers have it", async () => (await haveLast()) >= READERS / 2, 30_000);
          }
        })();

        for (const [at, old] of pushers.entries()) {
          await old.process.stop("SIGTERM");
          pushers[at] = await startPusher({ nats: nats.url, env: { ...env, PUSHER_PORT: String(portOf(old)) } });
          await untilAllOpen();
        }
        isPublishing = false;
        await publishing;

        await until("all readers have the last publication", async () => (await haveLast()) === READERS, 20_000);
        const received = await page.evaluate<string[][]>("sources.map(({ received }) => received)");
        for (const each of received) expect(each).toEqual(published);
        await page.close();
      },
    );
  },
);
