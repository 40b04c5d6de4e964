import { fileURLToPath } from "node:url";
import { freePorts } from "./free-ports.ts";
import { callApi, statusOf } from "./http-api.ts";
import { startProcess } from "./process.ts";
import { demoApp } from "./pusher-apps.ts";
import { until } from "./wait.ts";

type Broadcast = {
  readonly name: string;
  readonly channels: readonly string[];
  readonly payload: unknown;
  /** Socket id of the client that must not receive it, as `toOthers()` sets it. */
  readonly socket?: string;
};

export type LaravelApp = Awaited<ReturnType<typeof startLaravelApp>>;

/** Starts a PHP server that authorizes channels and broadcasts events as a Laravel application does. */
export async function startLaravelApp(publisher: { readonly url: string }) {
  const [port = 0] = await freePorts(1);
  const script = fileURLToPath(new URL("./laravel-app.php", import.meta.url));
  const server = startProcess("php", ["-S", `127.0.0.1:${port}`, script], {
    APP_ID: demoApp.id,
    APP_KEY: demoApp.key,
    APP_SECRET: demoApp.secret,
    APP_MASTER_KEY: "0123456789abcdef0123456789abcdef",
    API: publisher.url,
  });
  const url = `http://127.0.0.1:${port}`;
  await until("PHP answers", async () => (await statusOf(url)) === 404);
  return {
    url,
    /** Broadcasts an event. Returns the publisher's answer. */
    broadcast: async (event: Broadcast) => {
      const { body } = await callApi<{ status: number; body: unknown }>({ url }, "POST", "/broadcast", event);
      return body;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
