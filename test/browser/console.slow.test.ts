import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { axeFindings } from "../support/axe.ts";
import { complaintsOf, describeInBrowser } from "../support/browser.ts";
import { type Demo, startDemo } from "../support/console-demo.ts";
import { openConsole } from "../support/console-page.ts";
import { lighthouse } from "../support/lighthouse.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";

const WIDTHS = [
  { name: "", viewport: { width: 1280, height: 800 } },
  { name: "-phone", viewport: { width: 390, height: 844 } },
] as const;

/**
 * Images that the documentation shows. They differ in each run, so they are written only with FANWIRE_WRITE_IMAGES=1.
 */
const DOCUMENTED = ["overview", "overview-dark", "connection", "trace", "try", "try-phone", "overview-phone-dark"];
const IMAGES = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const isWriting = process.env.FANWIRE_WRITE_IMAGES === "1";
/** Rules that depend on the colours. */
const COLOUR_RULES = ["color-contrast", "link-in-text-block"];
/** Rounds of publications, one a second, before the image of the charts. */
const ROUNDS = isWriting ? 40 : 0;

describeInBrowser("how the console looks", (browser) => {
  const { pusher, publisher, channel } = useCluster({
    nats: 'server_name: "nats-1"',
    pusher: { PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: "news,prices.>" },
  });
  let demo: Demo;
  let folder: string;

  beforeAll(async () => {
    // Read, so that the cluster has one.
    expect(channel.port).toBeGreaterThan(0);
    demo = await startDemo(pusher, publisher);
    await demo.publish();
    folder = await mkdtemp(join(tmpdir(), "fanwire-console-"));
  });
  afterAll(() => demo?.[Symbol.dispose]());

  /** Places, each with a text that it shows when it is ready. */
  const places = (): readonly (readonly [name: string, place: string, text: string])[] => [
    ["try", "try", "recovered: null"],
    ["overview", "overview", "Answered at"],
    ["connections", "connections", "in all"],
    ["connection", `connections/${encodeURIComponent(demo.address)}`, "Publish to this connection"],
    ["users", "users", "in all"],
    ["user", "users/anna", "Connections of the user"],
    ["topics", "topics", "in all"],
    ["topic", "topics/lobby", "Proved complete|Older publications"],
    ["trace", "trace", "published"],
  ];

  test.each(WIDTHS)("axe finds nothing on any tab, and each fits: $viewport.width px", async ({ name, viewport }) => {
    await using page = await browser.newPage({ viewport });
    const complaints = complaintsOf(page);
    for (const [place, hash, text] of places()) {
      await openConsole(page, { url: publisher.url, pusher: pusher.url, place: hash });
      await prepare(page, place, text);
      expect(await page.evaluate("document.documentElement.scrollWidth"), place).toBeLessThanOrEqual(viewport.width);
      expect(await axeFindings(page), place).toEqual([]);
      await shoot(page, place + name);
      await page.emulateMedia({ colorScheme: "dark" });
      expect(await axeFindings(page, COLOUR_RULES), `${place}, dark`).toEqual([]);
      await shoot(page, `${place}${name}-dark`);
      await page.emulateMedia({ colorScheme: "light" });
    }
    expect(complaints).toEqual([]);
  });

  /** Waits until the place shows what it should. */
  async function prepare(page: Page, place: string, text: string): Promise<void> {
    if (place === "trace") return fillTrace(page);
    await page.getByText(new RegExp(text)).first().waitFor();
    if (place === "try") await fillTry(page);
    if (place === "overview") await fillCharts();
  }

  function shoot(page: Page, name: string): Promise<Buffer> {
    const isShown = isWriting && DOCUMENTED.includes(name);
    return page.screenshot({ path: join(isShown ? IMAGES : folder, `console-${name}.png`) });
  }

  test.each(["console", "docs"])("Lighthouse gives the page /%s at least 95 points of 100", async (path) => {
    const query = path === "console" ? `?pusher=${encodeURIComponent(pusher.url)}` : "";
    const { scores, findings } = await lighthouse(`${publisher.url}/${path}${query}`);

    for (const [category, score] of Object.entries(scores)) {
      expect(score, `${category}: ${findings.join("; ")}`).toBeGreaterThanOrEqual(95);
    }
  });

  async function fillTry(page: Page): Promise<void> {
    for (let round = 0; round < 3; round++) await demo.publish();
    await page.getByRole("cell", { name: "news" }).nth(2).waitFor();
  }

  async function fillCharts(): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all([demo.publish(), delay(1_000)]);
    }
  }

  async function fillTrace(page: Page): Promise<void> {
    await page.locator(".state", { hasText: "open" }).waitFor();
    await demo.publish();
    await page.locator("tbody tr").first().waitFor();
  }
});
