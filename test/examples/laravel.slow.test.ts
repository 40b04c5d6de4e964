import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { describeInBrowser } from "../support/browser.ts";
import { startLaravelApp } from "../support/laravel-app.ts";
import { run } from "../support/packed.ts";
import { hasPhp } from "../support/php-peer.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/laravel/", import.meta.url));
/** Prints the configuration as Laravel reads it: the values of .env, by the function `env`. */
const PRINT_CONFIG =
  "function env($name, $default = null) { return getenv($name) === false ? $default : getenv($name); }" +
  " echo json_encode(require 'config/broadcasting.php');";

/** The variables of env.example, without the references to others. */
const settings = Object.fromEntries(
  [...readFileSync(join(EXAMPLE, "env.example"), "utf8").matchAll(/^([A-Z_]+)=([^"\n]*)$/gm)].map(
    ([, name = "", value = ""]) => [name, value],
  ),
);

const env = pusherAppsEnv();
const { pusher, publisher } = useCluster({ pusher: { ...env, PUSHER_WORKERS: "1" }, publisher: env });

test.skipIf(!hasPhp)(
  "the files of the Laravel example are valid PHP, and its configuration names the publisher",
  async () => {
    const files = readdirSync(EXAMPLE, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".php"));
    await Promise.all(files.map((file) => run(EXAMPLE, "php", ["-l", file])));
    const config = JSON.parse(await run(EXAMPLE, "php", ["-r", PRINT_CONFIG], settings));

    expect(files).toHaveLength(3);
    expect(config.default).toBe("pusher");
    expect(config.connections.pusher).toEqual({
      driver: "pusher",
      key: "shop-key",
      secret: "shop-secret",
      app_id: "1001",
      options: { host: "localhost", port: "4237", scheme: "http", useTLS: false },
    });
  },
);

describeInBrowser("Echo of the Laravel example", (browser) => {
  test.skipIf(!hasPhp)("receives a private event, published by the request that Laravel sends", async () => {
    await using laravel = await startLaravelApp(publisher);
    const page = await browser.newPage({ extraHTTPHeaders: { "X-User": "7" } });
    await page.goto(`${laravel.url}/page`);
    await page.addScriptTag({ content: await bundleEcho(new URL(pusher.url).port) });
    await page.evaluate(`globalThis.received = [];
      Echo.private("orders.7").listen("OrderShipped", (data) => received.push(data))
        .subscribed(() => { globalThis.isSubscribed = true; });`);
    await until("Echo is subscribed", () => page.evaluate<boolean>("globalThis.isSubscribed === true"));

    const event = { name: "App\\Events\\OrderShipped", channels: ["private-orders.7"], payload: { id: 7, total: 9 } };
    expect(await laravel.broadcast(event)).toEqual({ status: 200, body: {} });

    await until("the event arrives", () => page.evaluate<boolean>("received.length > 0"));
    expect(await page.evaluate("received")).toEqual([{ id: 7, total: 9 }]);
  });
});

/** Bundles echo.js for a browser, as Vite does with the variables of .env. */
async function bundleEcho(port: string): Promise<string> {
  const values: Readonly<Record<string, string>> = {
    ...settings,
    VITE_PUSHER_APP_KEY: demoApp.key,
    VITE_PUSHER_HOST: "127.0.0.1",
    VITE_PUSHER_PORT: port,
  };
  const names = Object.keys(values).filter((name) => name.startsWith("VITE_"));
  const { outputFiles } = await build({
    entryPoints: [join(EXAMPLE, "resources/js/echo.js")],
    bundle: true,
    platform: "browser",
    nodePaths: [fileURLToPath(new URL("../../node_modules", import.meta.url))],
    define: Object.fromEntries(names.map((name) => [`import.meta.env.${name}`, JSON.stringify(values[name])])),
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}
