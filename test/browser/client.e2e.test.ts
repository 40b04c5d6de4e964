import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { describeInBrowser, evaluateIn, startOrigin } from "../support/browser.ts";
import { topic } from "../support/durable.ts";
import { startLink } from "../support/link.ts";
import { portOf } from "../support/port.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** Starts a client in the page `/console`, from the script that publishers serve. */
const START_CLIENT = `async (options) => {
  const { connect } = await import(new URL("client.js", location.href).href);
  globalThis.states = [];
  globalThis.publications = [];
  globalThis.client = connect({
    ...options,
    onState: (state) => states.push(state),
    onPublication: (publication) => publications.push(publication),
  });
}`;

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

/** Starts an EventSource. */
const START_EVENT_SOURCE = `({ url }) => {
  globalThis.welcomes = [];
  globalThis.events = [];
  globalThis.source = new EventSource(url);
  source.addEventListener("fanwire.welcome", ({ data }) => welcomes.push(JSON.parse(data)));
  source.onmessage = ({ data, lastEventId }) => events.push({ data, lastEventId });
}`;

type State = {
  readonly state: string;
  readonly recovered?: boolean | null;
  readonly code?: number;
  readonly retryInMs?: number;
};
type Received = { readonly data: string; readonly recovered: boolean };

const statesOf = (page: Page) => page.evaluate<State[]>("states");
const lastStateOf = async (page: Page) => (await statesOf(page)).at(-1);
const receivedBy = async (page: Page) =>
  (await page.evaluate<Received[]>("publications")).map(({ data, recovered }) => [data, recovered]);

describeInBrowser("clients in a browser", (browser) => {
  const {
    history: publications,
    pushers: [pusher, guarded],
    publisher,
  } = useCluster({
    pusher: [
      { PUSHER_WORKERS: "1" },
      { PUSHER_WORKERS: "1", PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_LEEWAY_SECONDS: "0" },
    ],
  });

  const untilOpen = (page: Page) =>
    until("the client is open", async () => (await lastStateOf(page))?.state === "open");

  test("the client reconnects and resumes without a gap or a duplicate", async () => {
    await using link = await startLink(portOf(pusher.url));
    await using page = await browser.newPage();
    await page.goto(`${publisher.url}/console`);
    await evaluateIn(page, START_CLIENT, { url: `ws://127.0.0.1:${link.port}/`, topics: ["orders.*"] });
    await untilOpen(page);
    await page.evaluate(`client.subscribe("news")`);
    await publications.append(topic("news"), "1");
    await publications.append(topic("orders.7"), "2");
    await until("both publications arrive", async () => (await receivedBy(page)).length === 2);

    link.cut();
    await until("the client detects the loss", async () => (await lastStateOf(page))?.state !== "open");
    await publications.append(topic("news"), "3");
    await publications.append(topic("orders.8"), "4");
    link.heal();
    await untilOpen(page);
    await publications.append(topic("news"), "5");

    await until("all publications arrive", async () => (await receivedBy(page)).length >= 5);
    expect(await receivedBy(page)).toEqual([
      ["1", false],
      ["2", false],
      ["3", true],
      ["4", true],
      ["5", false],
    ]);
    const states = await statesOf(page);
    expect(states.find(({ state }) => state === "waiting")).toMatchObject({ code: 1006 });
    expect(states.at(-1)).toMatchObject({ state: "open", recovered: true });
  });

  test("a waiting client reconnects as soon as the browser is online", async () => {
    await using link = await startLink(portOf(pusher.url));
    await using page = await browser.newPage();
    await page.goto(`${publisher.url}/console`);
    await page.evaluate("void (Math.random = () => 1)"); // each backoff takes its longest delay
    await evaluateIn(page, START_CLIENT, { url: `ws://127.0.0.1:${link.port}/`, topics: ["a"] });
    await untilOpen(page);

    await page.context().setOffline(true);
    link.cut();
    const wait = async () => (await statesOf(page)).find(({ retryInMs = 0 }) => retryInMs >= 8_000);
    await until("the client waits for a long time", wait, 40_000);
    link.heal();
    const since = performance.now();
    await page.context().setOffline(false);
    await untilOpen(page);

    expect(performance.now() - since).toBeLessThan(6_000);
  });

  test("a page of another origin sends its token in a header or as a subprotocol", async () => {
    await using application = await startOrigin();
    await using page = await browser.newPage();
    await page.goto(application.url);
    const jwt = await signToken({ sub: "berta", topics: ["own.b"] });
    const url = `${guarded.sseUrl}?topic=own.b`;
    const headers = { Authorization: `Bearer ${jwt}`, "Last-Event-ID": "elsewhere-1" };

    expect(await evaluateIn(page, FETCH_FIRST_EVENT, { url, headers })).toContain("event: fanwire.welcome");
    const protocols = ["fanwire.v1", `token.${jwt}`];
    expect(await evaluateIn(page, OPEN_WEB_SOCKET, { url: `${guarded.url}?topic=own.b`, protocols })).toEqual({
      data: expect.stringContaining('"welcome"'),
      protocol: "fanwire.v1",
    });
    expect(await evaluateIn(page, OPEN_WEB_SOCKET, { url: guarded.url, protocols: ["fanwire.v1", "token.x"] })).toEqual(
      {
        code: 4401,
      },
    );
  });

  test("EventSource subscribes from another origin and resumes by itself", async () => {
    await using link = await startLink(portOf(pusher.url));
    await using application = await startOrigin();
    await using page = await browser.newPage();
    await page.goto(application.url);
    const eventsOf = () => page.evaluate<{ data: string; lastEventId: string }[]>("events");
    const welcomesOf = () => page.evaluate<{ recovered: boolean | null }[]>("welcomes");
    await evaluateIn(page, START_EVENT_SOURCE, { url: `http://127.0.0.1:${link.port}/sse?topic=sse` });
    await until("the welcome", async () => (await welcomesOf()).length === 1);
    const append = async (...contents: string[]) => {
      for (const content of contents) await publications.append(topic("sse"), content);
    };
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
  });
});
