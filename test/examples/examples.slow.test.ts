import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { complaintsOf, describeInBrowser } from "../support/browser.ts";
import { freePorts } from "../support/free-ports.ts";
import { installApp, pack, run, useFolder } from "../support/packed.ts";
import { missingPhpCurl } from "../support/php-curl.ts";
import { startProcess } from "../support/process.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
const KEY = "0123456789abcdef";

describeInBrowser("the examples", async (browser) => {
  const { pusher, publisher } = useCluster({
    pusher: { PUSHER_WORKERS: "1", PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: "news" },
    publisher: { PUBLISHER_API_KEYS: KEY },
  });
  const folder = await useFolder();

  test.concurrent("the page in plain HTML shows a publication, opened as a file", async () => {
    const file = join(folder, "index.html");
    const html = await readFile(join(EXAMPLES, "html/index.html"), "utf8");
    await writeFile(file, html.replaceAll("localhost:4236", new URL(pusher.url).host));

    await expectNews(await browser.newPage(), pathToFileURL(file).href);
  });

  test.concurrent("the application in React passes the type check, and shows publications while its list is shown", async () => {
    const app = join(folder, "react");
    await cp(join(EXAMPLES, "react"), app, { recursive: true, filter: isSource });
    await installApp(app, { "@fanwire/client": `file:${await pack("client", folder)}` });
    await run(app, "npx", ["tsc"]);
    const [port = 0] = await freePorts(1);
    const vite = ["node_modules/vite/bin/vite.js", "--host", "127.0.0.1", "--port", String(port), "--strictPort"];
    await using server = startProcess(process.execPath, vite, { VITE_FANWIRE_URL: pusher.url }, app);
    await until(server.output, () => server.output().includes("ready in"));

    const page = await browser.newPage();
    await expectNews(page, `http://127.0.0.1:${port}/`);
    await page.getByRole("button", { name: "Hide" }).click();
    await publishNews("unseen");
    await page.getByRole("button", { name: "Show" }).click();
    await until("the list is subscribed again", async () => {
      await publishNews("seen again");
      return (await page.getByRole("listitem").allTextContents()).includes("seen again");
    });
    expect(await page.getByRole("listitem").allTextContents()).not.toContain("unseen");
  });

  test.concurrent("the back end in Node publishes orders, and issues the token to receive them", async () => {
    const app = join(folder, "node");
    await cp(join(EXAMPLES, "node"), app, { recursive: true, filter: isSource });
    await installApp(app);
    await using server = startProcess(process.execPath, ["server.js"], { PORT: "0", ...backEndEnv() }, app);
    const url = await until(server.output, () => /http:\S+/.exec(server.output())?.[0]);

    await expectOrder(await browser.newPage(), url);
  });

  test.skipIf(missingPhpCurl !== undefined)(
    `the back end in PHP does the same${missingPhpCurl === undefined ? "" : ` (skipped: ${missingPhpCurl})`}`,
    async () => {
      const [port = 0] = await freePorts(1);
      const args = ["-S", `127.0.0.1:${port}`, "-t", "public"];
      await using server = startProcess("php", args, backEndEnv(), join(EXAMPLES, "php"));
      await until(server.output, () => server.output().includes("started"));

      await expectOrder(await browser.newPage(), `http://127.0.0.1:${port}/`);
    },
  );

  function backEndEnv() {
    return {
      FANWIRE_PUSHER_URL: pusher.url,
      FANWIRE_PUBLISHER_URL: publisher.url,
      FANWIRE_API_KEY: KEY,
      PUSHER_TOKEN_SECRET: SECRET,
    };
  }

  async function publishNews(data: string): Promise<void> {
    const response = await fetch(`${publisher.url}/v1/publications`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${KEY}` },
      body: JSON.stringify({ target: { topic: "news" }, data }),
    });
    expect(await response.json()).toEqual({ status: "published" });
  }

  async function expectNews(page: Page, url: string): Promise<void> {
    const complaints = complaintsOf(page);
    await page.goto(url);
    await page.getByRole("status").getByText("open").waitFor();
    await until("the publication arrives", async () => {
      await publishNews("<b>hello</b>");
      return (await page.getByRole("listitem").count()) > 0;
    });
    expect((await page.getByRole("listitem").allTextContents())[0]).toBe("<b>hello</b>");
    expect(complaints).toEqual([]);
  }
});

/** Presses the button of the page, which makes the back end publish. */
async function expectOrder(page: Page, url: string): Promise<void> {
  const complaints = complaintsOf(page);
  await page.goto(url);
  await page.getByRole("status").getByText("open").waitFor();
  await page.getByRole("button").click();
  await page.getByRole("listitem").waitFor();
  expect(await page.getByRole("listitem").allTextContents()).toEqual([
    expect.stringMatching(/^created: [0-9a-f-]{32,36}$/),
  ]);
  expect(complaints).toEqual([]);
}

/** Modules that a developer installed belong to another copy of the client. */
function isSource(path: string): boolean {
  return !/node_modules|dist|package-lock/.test(path);
}
