import type { BrowserContextOptions, Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { complaintsOf, describeInBrowser } from "../support/browser.ts";
import { fieldIn, openConsole, panelIn, publishIn, rowsOf } from "../support/console-page.ts";
import { postPublication } from "../support/http-api.ts";
import { connectPresence } from "../support/presence-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const KEY = "0123456789abcdef";
const READ_KEY = "fedcba9876543210";
/** The pusher accepts tokens, and lets clients without one subscribe to these. */
const PUSHER = { PUSHER_WORKERS: "1", PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: "news,orders.>" };

describeInBrowser("the console", (browser) => {
  const { pusher, publishers } = useCluster({
    pusher: { ...PUSHER, PUSHER_PRESENCE_LEAVE_SECONDS: "1" },
    publisher: [{}, { PUBLISHER_API_KEYS: `${KEY},read:${READ_KEY}` }],
  });
  const [open, keyed] = publishers;

  async function show(place: string, options: BrowserContextOptions = {}, { url } = open) {
    const page = await browser.newPage(options);
    onTestFinished(() => page.close());
    const complaints = complaintsOf(page);
    await openConsole(page, { url, pusher: pusher.url, place });
    return { page, complaints };
  }

  test("Try connects on load, publishes with receipts, and resumes after a cut with recovered publications marked", async () => {
    const { page, complaints } = await show("try");
    await untilState(page, "open");
    await page.getByLabel("Topic or pattern").fill("orders.*");
    await page.getByRole("button", { name: "Subscribe", exact: true }).click();
    await publishIn(page, { name: "news", data: "hello" });
    await page.locator(".receipt", { hasText: "1 delivered" }).getByText("complete", { exact: true }).waitFor();
    await publishIn(page, { name: "orders.7", data: "<img src=x onerror=alert(1)>", event: "<b>paid</b>" });
    await until("both publications arrive", async () => (await received(page)).length === 2);
    expect(await received(page)).toMatchObject([
      { topic: "orders.7by orders.*", event: "<b>paid</b>", data: "<img src=x onerror=alert(1)>" },
      { topic: "news", event: "message", data: "hello" },
    ]);

    await page.getByRole("button", { name: "Cut the network" }).click();
    await untilState(page, /waiting|connecting/);
    await publishIn(page, { name: "news", data: "missed" });
    await page.getByRole("button", { name: "Restore the network" }).click();
    await until("the publication arrives", async () => (await received(page)).length === 3);
    await page.getByText("true: nothing is missing").waitFor();
    await page.getByLabel("Durable").uncheck();
    await publishIn(page, { to: "connection", data: "only me" });
    await until("the publication arrives", async () => (await received(page)).length === 4);

    expect(
      (await received(page)).map(({ data, isRecovered, position }) => [data, isRecovered, position !== "–"]),
    ).toEqual([
      ["only me", false, false],
      ["missed", true, true],
      ["<img src=x onerror=alert(1)>", false, true],
      ["hello", false, true],
    ]);
    await publishIn(page, { to: "connection", name: "a.1.1", data: "nobody", isRefused: true });
    expect(complaints).toEqual([expect.stringContaining("422")]);
  });

  test("Try shows the members of a topic, and refusals", async () => {
    const { page } = await show("try");
    await untilState(page, "open");
    await page.getByLabel("Token").fill(await signToken({ sub: "anna", topics: [">"], presence: ["lobby"] }));
    await page.getByRole("button", { name: "Reconnect" }).click();
    await until(
      "the client has a user",
      async () => (await statesOf(page)).filter((kind) => kind === "open").length === 2,
    );

    await page.getByRole("button", { name: "Enter" }).click();
    await page.getByText("1 on lobby").waitFor();
    const bob = await connectPresence(pusher, "bob", { info: { role: "<b>guest</b>" } });
    await bob.join("lobby");
    await page.getByLabel("Members of the topic").getByText('{"role":"<b>guest</b>"}').waitFor();
    bob.close();
    await page.getByText("1 on lobby").waitFor();
    await page.getByLabel("Topic to be present on").fill("other");
    await page.getByRole("button", { name: "Enter" }).click();
    await page.locator("[data-kind=refused]", { hasText: "other:" }).waitFor();
    expect(await page.getByLabel("Subscriptions").locator("li code").allTextContents()).toEqual(["news"]);
  });

  test("a full key shows and changes everything, a read-only key shows everything and changes nothing", async () => {
    const client = await connectRawClient(`${pusher.url}?topic=orders.7`);
    const { page, complaints } = await show("overview", {}, keyed);
    await signIn(page, "not the key at all");
    await page.getByRole("alert").filter({ hasText: "401" }).waitFor();
    expect(complaints.splice(0)).toEqual([expect.stringContaining("401")]);
    await signIn(page, KEY);
    await page.locator(".totals", { hasText: /Workers1Connections\d/ }).waitFor();

    await goTo(page, `connections?search=${client.address}`);
    await page.getByRole("link", { name: client.address, exact: true }).click();
    const details = page.getByRole("complementary");
    await fieldIn(details, "Topic or pattern").fill("orders.*");
    await details.getByRole("button", { name: "Subscribe", exact: true }).click();
    await details.getByLabel("Subscriptions").getByText("orders.*").waitFor();

    await goTo(page, "trace?topic=orders.*");
    await page.locator(".state", { hasText: "open" }).waitFor();
    await goTo(page, "topics/orders.7");
    await details.getByRole("button", { name: "Publish", exact: true }).click();
    await details.locator(".receipt", { hasText: "2 delivered" }).waitFor();
    expect(client.frames).toEqual(["hello", "hello"]);

    await goTo(page, `connections/${client.address}`);
    await details.getByRole("button", { name: "Disconnect" }).click();
    await details.getByRole("button", { name: "Disconnect now" }).click();
    await until("the worker closes the connection", () => client.close?.code === 4403);
    await details.getByRole("alert").filter({ hasText: "No such connection" }).waitFor();

    await page.getByRole("button", { name: "Sign out" }).click();
    await signIn(page, READ_KEY);
    await page.getByText("read-only key").waitFor();
    await goTo(page, "topics/orders.7");
    await details.getByText("Publishing needs a full key").waitFor();
    expect(await page.getByRole("button", { name: /Publish|Disconnect|Subscribe/ }).count()).toBe(0);
    // The details ask for the closed connection until the page leaves them.
    expect(complaints.filter((complaint) => !complaint.includes("404"))).toEqual([]);
  });

  test("Trace shows publications as they happen, pauses, filters, and copies a request that publishes the same", async () => {
    const { page, complaints } = await show("trace?topic=orders.*", {
      permissions: ["clipboard-read", "clipboard-write"],
    });
    await page.locator(".state", { hasText: "open" }).waitFor();
    const targets = async () => (await rowsOf(page, "Trace, newest first")).map((row) => row[2]);
    await postPublication(open, { target: { topic: "orders.7" }, event: "paid", data: '{"total":9}' });
    await postPublication(open, { target: { topic: "news" }, data: "not traced" });
    await until("the publication", async () => (await targets()).length === 1);

    await page.getByRole("button", { name: "Pause" }).click();
    await postPublication(open, { target: { topic: "orders.8" }, data: "later" });
    await page.getByText("paused, 1 arrived").waitFor();
    expect(await targets()).toEqual(["orders.7"]);
    await page.getByRole("button", { name: "Resume" }).click();
    await until("both publications", async () => (await targets()).length === 2);
    await page.getByLabel("Show only entries with this text").fill("TOTAL");
    await until("the filtered publication", async () => (await targets()).join() === "orders.7");

    await page.getByRole("table").getByRole("button").click();
    await page.getByRole("button", { name: "Copy as curl" }).click();
    await page.getByText("Copied").waitFor();
    const command = await page.evaluate<string>("navigator.clipboard.readText()");
    expect(command).toContain(`-d '{"target":{"topic":"orders.7"},"event":"paid","data":"{\\"total\\":9}"}'`);
    expect(complaints).toEqual([]);
  });

  test("Try shows why an address does not answer", async () => {
    const { page } = await show("try");
    const problem = page.getByRole("alert");
    for (const [address, text] of [
      ["ws://127.0.0.1:9/", "Nothing answers"],
      [pusher.url.replace("ws", "wss"), "Use ws instead of wss"],
      [keyed.url.replace("http", "ws"), "It is no pusher"],
    ] as const) {
      await fieldIn(page, "Pusher URL").fill(address);
      await page.getByRole("button", { name: /^(Rec|C)onnect$/ }).click();
      await problem.filter({ hasText: text }).waitFor();
    }
  });
});

async function signIn(page: Page, key: string): Promise<void> {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Changes the place without loading the page again. */
async function goTo(page: Page, place: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(place)}`);
}

function untilState(page: Page, text: string | RegExp): Promise<void> {
  return page.locator(".state", { hasText: text }).waitFor();
}

async function received(page: Page) {
  const rows = await rowsOf(page, "Received publications");
  return rows.map(([time = "", topic, event, data, position]) => ({
    topic,
    event,
    data,
    position,
    isRecovered: time.endsWith("recovered"),
  }));
}

function statesOf(page: Page): Promise<string[]> {
  return panelIn(page, "Connection states").locator("li b").allTextContents();
}
