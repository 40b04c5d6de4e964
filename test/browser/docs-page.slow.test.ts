import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { complaintsOf, describeInBrowser } from "../support/browser.ts";
import type { TestPublisher } from "../support/cluster.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const KEY = "0123456789abcdef";
const METHODS = ["get", "put", "post", "delete", "head", "options", "patch", "trace"];
/** Not localhost, because Swagger UI never asks its online validator about a document on localhost. */
const PUBLIC_URL = "http://api.example.com/push";
/** The operations on the page, such as `GET /v1/cluster`. */
const LISTED_OPERATIONS = `[...document.querySelectorAll(".opblock")].map((block) =>
  block.querySelector(".opblock-summary-method").textContent + " " + block.querySelector("[data-path]").dataset.path)`;

describeInBrowser("the page /docs", (browser) => {
  const { pusher, publisher } = useCluster({
    pusher: { PUSHER_WORKERS: "1" },
    publisher: { PUBLISHER_API_KEYS: KEY },
  });

  /** Opens the page as the internet sees it: at a public host name, below a path that a proxy removes. */
  async function open(options: BrowserContextOptions = {}) {
    const page = await browser.newPage(options);
    onTestFinished(() => page.close());
    const complaints = complaintsOf(page);
    const requests: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    await page.route(`${PUBLIC_URL}/**`, async (route) => {
      const url = publisher.url + route.request().url().slice(PUBLIC_URL.length);
      await route.fulfill({ response: await route.fetch({ url }) });
    });
    await page.goto(`${PUBLIC_URL}/docs`);
    await page.locator(".opblock").first().waitFor();
    return { page, complaints, requests };
  }

  test("lists every operation of /openapi.json, without console errors or requests to other origins", async () => {
    const { page, complaints, requests } = await open();

    const listed = await page.evaluate<string[]>(LISTED_OPERATIONS);
    expect(listed.sort()).toEqual((await operationsOf(publisher)).sort());
    expect(listed).toContain("PUT /v1/users/{user}/topics/{topic}");

    expect(requests.filter((url) => !url.startsWith(PUBLIC_URL))).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test("Authorize and Execute publish with an API key", async () => {
    const client = await connectRawClient(pusher.url);
    const { page, complaints } = await open();
    const publish = operation(page, "POST", "/v1/publications");
    await publish.locator(".opblock-summary-control").click();
    await publish.getByRole("button", { name: "Try it out" }).click();

    await execute(publish);
    await publish.locator(".live-responses-table .response-col_status", { hasText: "401" }).waitFor();
    expect(complaints.splice(0)).toEqual([expect.stringContaining("401")]);

    await page.locator(".auth-wrapper").getByRole("button", { name: "Authorize" }).click();
    const dialog = page.locator(".auth-container").filter({ hasText: "bearer" });
    await dialog.getByRole("textbox").fill(KEY);
    await dialog.getByRole("button", { name: "Apply" }).click();
    await dialog.getByRole("button", { name: "Close" }).click();
    await execute(publish);

    await publish.locator(".live-responses-table .response-col_status", { hasText: "200" }).waitFor();
    expect(await publish.locator(".live-responses-table").textContent()).toContain('"status": "published"');
    await until("the publication", () => client.frames.length > 0);
    expect(client.frames).toEqual(["hello"]);
    expect(complaints).toEqual([]);
    client.socket.close();
  });

  test("fits the width of a phone with all operations and forms open", async () => {
    const { page, complaints, requests } = await open({ viewport: { width: 375, height: 740 } });

    await openAll(page, (await operationsOf(publisher)).length);

    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(375);
    expect(requests.filter((url) => !url.startsWith(PUBLIC_URL))).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test("follows the colour scheme of the system", async () => {
    const { page } = await open({ colorScheme: "dark" });
    const background = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");

    expect(await background()).toBe("rgb(28, 32, 34)");
    await page.emulateMedia({ colorScheme: "light" });
    await until("the light page", async () => (await background()) === "rgba(0, 0, 0, 0)");
  });
});

/** Returns the operations of the OpenAPI document, such as `GET /v1/cluster`. */
async function operationsOf({ url }: TestPublisher): Promise<string[]> {
  const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, object> };
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((method) => METHODS.includes(method))
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
}

/** Opens all operations and their forms. */
async function openAll(page: Page, count: number): Promise<void> {
  await page.evaluate(`document.querySelectorAll(".opblock-summary-control").forEach((button) => button.click())`);
  await until("open operations", async () => (await page.locator(".opblock.is-open .try-out__btn").count()) === count);
  await page.evaluate(`document.querySelectorAll(".try-out__btn").forEach((button) => button.click())`);
  await until("open forms", async () => (await page.locator(".opblock .btn.execute").count()) === count);
}

function operation(page: Page, method: string, path: string): Locator {
  const summary = page.locator(`.opblock-summary-path[data-path="${path}"]`);
  return page.locator(`.opblock-${method.toLowerCase()}`).filter({ has: summary });
}

async function execute(block: Locator): Promise<void> {
  await block.getByRole("button", { name: "Execute" }).click();
}
