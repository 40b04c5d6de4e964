import { execFile } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Pusher from "pusher";
import { demoApp } from "./pusher-apps.ts";

type Server = { readonly url: string };
type App = { readonly id: string; readonly key: string; readonly secret: string };

/** Opens the real server SDK for Node against a publisher. */
export function openPusherSdk({ url }: Server, { id, key, secret }: App = demoApp, options = {}): Pusher {
  const { hostname, port } = new URL(url);
  return new Pusher({ appId: id, key, secret, host: hostname, port, useTLS: false, ...options });
}

export type SdkAnswer = { readonly status: number; readonly body: unknown };

/** Returns the status and body of a call of the SDK, which rejects for errors. */
export async function answerOf(call: ReturnType<Pusher["post"]>): Promise<SdkAnswer> {
  try {
    const response = await call;
    return { status: response.status, body: await response.json() };
  } catch (error) {
    if (error instanceof Pusher.RequestError && error.status !== undefined) {
      return { status: error.status, body: JSON.parse(String(error.body)) };
    }
    throw error;
  }
}

export type SignedCall = {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Uint8Array;
  readonly app?: App;
  /** Difference of the caller's clock. */
  readonly clockSeconds?: number;
  /** Parameters as they are sent and, unescaped, signed. */
  readonly params?: Readonly<Record<string, string>>;
  /** Replaces what is signed. */
  readonly signed?: (text: string) => string;
  /** Replaces what is sent. */
  readonly sent?: (target: string) => string;
  readonly hasMd5?: boolean;
};

/** Returns the target of a request that is signed as the SDKs do, with changes. */
export function signedTarget(call: SignedCall): string {
  const { method = "POST", path, body = "", app = demoApp, clockSeconds = 0, params = {} } = call;
  const md5 = createHash("md5").update(body).digest("hex");
  const query: [string, string][] = Object.entries({
    auth_key: app.key,
    auth_timestamp: String(Math.floor(Date.now() / 1_000) + clockSeconds),
    auth_version: "1.0",
    ...((call.hasMd5 ?? body.length > 0) && { body_md5: md5 }),
    ...params,
  });
  const sorted = query.sort(([one], [other]) => (one < other ? -1 : 1));
  const join = (encode: (text: string) => string) =>
    sorted.map(([name, value]) => `${name}=${encode(value)}`).join("&");
  const text = `${method}\n${path}\n${join((value) => value)}`;
  const signature = createHmac("sha256", app.secret)
    .update(call.signed?.(text) ?? text)
    .digest("hex");
  const target = `${encodeURI(path)}?${join(encodeURIComponent)}&auth_signature=${signature}`;
  return call.sent?.(target) ?? target;
}

/** Sends such a request. */
export async function signedCall({ url }: Server, call: SignedCall & { readonly body?: string }): Promise<SdkAnswer> {
  const { method = "POST", body } = call;
  const response = await fetch(url + signedTarget(call), { method, ...(body !== undefined && { body }) });
  return { status: response.status, body: await response.json() };
}

type PhpCall = {
  readonly method?: "GET" | "POST";
  /** Below the app. */
  readonly path: string;
  readonly body?: string;
  readonly query?: object;
};

/** Sends a request from PHP, signed as the SDK for PHP does. The body of the answer is the text. */
export async function phpCall(
  { url }: Server,
  { method = "POST", path, body = "", query = {} }: PhpCall,
): Promise<{ readonly status: number; readonly body: string }> {
  const script = fileURLToPath(new URL("./pusher-sdk.php", import.meta.url));
  const args = [script, url, JSON.stringify(demoApp), method, path, body, JSON.stringify(query)];
  const { stdout } = await promisify(execFile)("php", args);
  return JSON.parse(stdout);
}
