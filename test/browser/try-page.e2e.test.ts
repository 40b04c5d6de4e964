import type { BrowserContextOptions, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { complaintsOf, missingBrowser, useBrowser } from "../support/browser.ts";
import { startPublisher, startPusher } from "../support/cluster.ts";
import { connectPresence } from "../support/presence-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const KEY = "0123456789abcdef";

describe.skipIf(missingBrowser !== undefined)(
  `the page /try${missingBrowser === undefined ? "" : ` (skipped: ${missingBrowser})`}`,
  () => {
    const { nats, pusher, publisher } = useCluster({ pusher: { PUSHER_WORKERS: "1" } });
    const browser = useBrowser();

    async function open(options: BrowserContextOptions = {}, { url } = publisher) {
      const page = await browser.newPage(options);
      const complaints = complaintsOf(page);
      await page.goto(`${url}/try?pusher=${encodeURIComponent(pusher.url)}`);
      return { page, complaints, press: pressIn(page), rows: rowsIn(page) };
    }

    test("the page publishes, receives, and resumes after a reconnect, with recovered publications marked", async () => {
      const { page, complaints, press, rows } = await open();

      await press("Connect");
      await page.locator("#state", { hasText: "open" }).waitFor();
      await page.getByLabel("Topic or pattern").fill("orders.*");
      await press("Subscribe");
      await publish(page, { name: "news", data: "hello" });
      await publish(page, { name: "orders.7", data: "<img src=x onerror=alert(1)>", event: "<b>paid</b>" });
      await until("both publications arrive", async () => (await rows()).length === 2);
      expect(await rows()).toMatchObject([
        { topic: "orders.7by orders.*", event: "<b>paid</b>", data: "<img src=x onerror=alert(1)>" },
        { topic: "news", event: "message", data: "hello" },
      ]);

      await press("Cut the network");
      await page.locator("#state", { hasText: /waiting|connecting/ }).waitFor();
      await publish(page, { name: "news", data: "missed" });
      await press("Restore the network");
      await until("the publication arrives", async () => (await rows()).length === 3);
      await page.locator("#recovered", { hasText: "true" }).waitFor();
      await publish(page, { name: "news", data: "live again" });
      await until("the publication arrives", async () => (await rows()).length === 4);

      const found = await rows();
      expect(found.map(({ data, isRecovered }) => [data, isRecovered])).toEqual([
        ["live again", false],
        ["missed", true],
        ["<img src=x onerror=alert(1)>", false],
        ["hello", false],
      ]);
      expect(found.every(({ time, position }) => /^\d\d:\d\d:\d\d\.\d{3}/.test(time) && /-\d+$/.test(position))).toBe(
        true,
      );
      const log = await page.locator("#log b").allTextContents();
      expect(log.filter((kind) => kind !== "connecting")).toEqual(["open", "restored", "waiting", "cut", "open"]);
      expect(complaints).toEqual([]);
      await page.close();
    });

    test("the page publishes to everyone and to its own connection, and shows refusals", async () => {
      const { page, press, rows } = await open();
      await press("Connect");
      await page.locator("#state", { hasText: "open" }).waitFor();
      await page.getByLabel("Durable").uncheck();

      await publish(page, { to: "everyone", data: "to all" });
      await publish(page, { to: "a connection", data: "only me" });
      await until("both publications arrive", async () => (await rows()).length === 2);
      expect(await rows()).toMatchObject([
        { topic: "no topic", data: "only me", position: "–" },
        { topic: "no topic", data: "to all", position: "–" },
      ]);
      expect(await page.locator("#answer").textContent()).toBe('200 {"status":"delivered"}');

      await publish(page, { to: "a connection", name: "a.1.1", data: "nobody" });
      await page.locator("#answer.failed", { hasText: "422" }).waitFor();
      await page.getByLabel("Topic or pattern").fill("a.>.b");
      await press("Subscribe");
      await page.locator("#log .refused").waitFor();
      expect(await page.locator("#topics li").allTextContents()).toEqual(["news×"]);
      await press("Disconnect");
      await page.locator("#state", { hasText: "closed" }).waitFor();
      await page.close();
    });

    test("the page shows the members of a topic, and a refusal", async () => {
      const env = { PUSHER_TOKEN_SECRET: SECRET, PUSHER_PRESENCE_LEAVE_SECONDS: "1" };
      await using guarded = await startPusher({ nats: nats.url, env });
      const { page, press } = await open();
      const members = () => page.locator("#members li").allTextContents();
      await press("Enter");
      await page.locator("#log .refused", { hasText: "connect before" }).waitFor();
      await page.getByLabel("Pusher URL").fill(guarded.url);
      await page.getByLabel("Token").fill(await signToken({ sub: "anna", topics: [">"], presence: ["lobby"] }));
      await press("Connect");
      await page.locator("#state", { hasText: "open" }).waitFor();

      await press("Enter");
      await page.locator("#members-count", { hasText: "1 on lobby" }).waitFor();
      const bob = await connectPresence(guarded, "bob", { info: { role: "<b>guest</b>" } });
      await bob.join("lobby");
      await page.locator("#log .joined", { hasText: "lobby: bob" }).waitFor();
      expect((await members()).sort()).toEqual(["anna", 'bob{"role":"<b>guest</b>"}']);
      bob.close();
      await page.locator("#log .left", { hasText: "lobby: bob" }).waitFor();
      expect(await members()).toEqual(["anna"]);

      await page.getByLabel("Topic to be present on").fill("other");
      await press("Enter");
      await page.locator("#log .refused", { hasText: "other:" }).waitFor();
      expect(await members()).toEqual([]);
      expect(await page.locator("#topics li").allTextContents()).toEqual(["news×"]);
      await page.close();
    });

    test("the page fits the width of a phone", async () => {
      const { page, press, rows } = await open({ viewport: { width: 360, height: 740 } });
      await press("Connect");
      await page.locator("#state", { hasText: "open" }).waitFor();
      await publish(page, { name: "news", data: "word".repeat(200) });
      await until("the publication arrives", async () => (await rows()).length === 1);

      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
      await page.close();
    });

    test("the page asks for an API key if keys are configured", async () => {
      const env = { PUBLISHER_API_KEYS: KEY, PUBLISHER_TRY_PAGE: "on" };
      await using asking = await startPublisher({ nats: nats.url, env });
      const { page } = await open({}, asking);

      await page.getByLabel("API key").fill("not the key at all");
      await publish(page, { name: "news", data: "x" });
      await page.locator("#answer.failed", { hasText: "401" }).waitFor();
      await page.getByLabel("API key").fill(KEY);
      await publish(page, { name: "news", data: "x" });
      await page.locator("#answer.ok", { hasText: "stored" }).waitFor();
      await page.close();
    });
  },
);

function pressIn(page: Page): (name: string) => Promise<void> {
  return (name) => page.getByRole("button", { name, exact: true }).click();
}

type Row = Readonly<Record<"time" | "topic" | "event" | "data" | "position", string>> & {
  readonly isRecovered: boolean;
};

/** Returns a function that reads the table, newest first. */
function rowsIn(page: Page): () => Promise<Row[]> {
  return () =>
    page.evaluate<Row[]>(`[...document.querySelectorAll("#publications tr")].map((row) => ({
      ...Object.fromEntries([...row.cells].map((cell) => [cell.className, cell.textContent])),
      isRecovered: row.querySelector("b.badge")?.textContent === "recovered",
    }))`);
}

/** Publishes by the form, and waits for the answer. */
async function publish(
  page: Page,
  { to, name, data, event }: { to?: string; name?: string; data: string; event?: string },
) {
  await page.locator("#answer").evaluate("(answer) => answer.textContent = ''");
  if (to !== undefined) await page.locator("#target-kind").selectOption(to);
  if (name !== undefined) await page.getByLabel("Name or address").fill(name);
  await page.getByLabel("Event").fill(event ?? "");
  await page.getByLabel("Data").fill(data);
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.locator("#answer", { hasText: /\d/ }).waitFor();
}
