import { expect, test } from "vitest";
import { diagnose, type Probe } from "./diagnosis.ts";

const HREF = "http://localhost:4237/console";
const OPAQUE = { outcome: "opaque" } as const;
const NOTHING = { outcome: "nothing" } as const;

/** `answers`: by URL; a `!` before it is a request whose answer the page may read. */
async function said(address: string, answers: Record<string, Probe> = {}, href = HREF): Promise<string> {
  const probe = async (url: string, isReadable: boolean) => answers[`${isReadable ? "!" : ""}${url}`] ?? NOTHING;
  return (await diagnose(address, { href, probe })).join(" ");
}

test.each([
  ["localhost", "not a URL"],
  ["ftp://localhost/", "scheme ws or wss, not ftp"],
  ["ws://localhost:4237/", "address of the publisher"],
  ["ws://localhost:1/", "Nothing answers at localhost:1."],
  ["wss://push.example.com/", "open https://push.example.com/ in a tab"],
  ["ws://localhost:4222/", "Port 4222 is usually NATS."],
])("%s: %s", async (address, sentence) => {
  expect(await said(address)).toContain(sentence);
});

test("a secure page may connect without TLS to its own machine only", async () => {
  const href = "https://push.example.com/console";
  expect(await said("ws://push.example.com:4236/", {}, href)).toContain("the browser blocks ws");
  expect(await said("ws://localhost:4236/", {}, href)).toContain("Nothing answers");
});

test("the wrong one of ws and wss is named", async () => {
  expect(await said("wss://h:4236/", { "http://h:4236/": OPAQUE })).toContain("Use ws instead of wss");
  expect(await said("ws://h:4236/", { "https://h:4236/": OPAQUE })).toContain("Use wss instead of ws");
});

test("a server whose answers are hidden may be anything, and a pusher that refuses the origin", async () => {
  const text = await said("ws://h:4236/", { "http://h:4236/": OPAQUE, "!http://h:4236/sse": OPAQUE });
  expect(text).toContain("no pusher, or a pusher that refuses the origin");
  expect(text).toContain("add http://localhost:4237 to PUSHER_ALLOWED_ORIGINS");
});

test("a readable answer shows whether it is a pusher", async () => {
  const after = (status: number, type: string, body: string) => {
    const readable = { outcome: "readable", status, type, body } as const;
    return said("ws://h:4236/", { "http://h:4236/": OPAQUE, "!http://h:4236/sse": readable });
  };
  const proxied = await after(200, "text/event-stream; charset=utf-8", "retry: 1");
  expect(proxied).toContain("A proxy on the way may not forward WebSockets");
  const full = await after(200, "text/event-stream", ": too many connections\n");
  expect(full).toContain("turns connections away now: too many connections.");
  expect(await after(404, "text/html", "Not Found")).toContain("status 404");
});
