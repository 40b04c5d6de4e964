import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe } from "vitest";
import { LatePart } from "./late-part.ts";

export const BROWSER_PATH = "/usr/bin/chromium";

/** Reason why browser tests are skipped, or `undefined`. */
export const missingBrowser = existsSync(BROWSER_PATH)
  ? undefined
  : `there is no ${BROWSER_PATH}: apt-get install --no-install-recommends chromium`;

if (missingBrowser !== undefined) console.warn(`Tests in a browser are skipped: ${missingBrowser}.`);

/** Groups tests that use a browser. Without one they are skipped, and the name of the group has the reason. */
export function describeInBrowser(name: string, tests: (browser: Browser) => void | Promise<void>): void {
  const skipped = missingBrowser === undefined ? "" : ` (skipped: ${missingBrowser})`;
  describe.skipIf(missingBrowser !== undefined)(`${name}${skipped}`, () => tests(useBrowser()));
}

/** Starts a browser before the tests of the `describe` that calls it, and closes it after them. */
export function useBrowser(): Browser {
  const browser = new LatePart<Browser>("browser");
  beforeAll(async () => browser.set(await startBrowser()));
  afterAll(() => browser.part.close());
  return browser.proxy;
}

/** Starts a browser without a window and without requests of its own to the internet. */
function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: BROWSER_PATH,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** Calls a function of the page. `script` is its source, and `argument` must be JSON. */
export function evaluateIn(page: Page, script: string, argument: unknown): Promise<unknown> {
  return page.evaluate(`(${script})(${JSON.stringify(argument)})`);
}

/** Collects the uncaught errors of a page and the errors on its console. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  return complaints;
}

/** Serves an empty page on another origin than the services. */
export async function startOrigin(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>application</title>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a server that listens on TCP has an AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
