import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { WebSocket as NodeWebSocket } from "ws";
import type { WebSocketConstructor } from "./index.ts";

test("the client adds less than 6.7 KB to a page, and no dependency", async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL("index.ts", import.meta.url))],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    conditions: ["@fanwire/source"],
    write: false,
    metafile: true,
  });

  const bytes = gzipSync(outputFiles[0]?.contents ?? "", { level: 9 }).length;
  expect(bytes).toBeGreaterThan(1_000);
  expect(bytes).toBeLessThan(6_700);
  for (const file of Object.keys(metafile.inputs)) expect(file).toContain("packages/client/src/");
});

test("the WebSockets of browsers and of ws have the expected type", () => {
  const sockets: WebSocketConstructor[] = [NodeWebSocket, globalThis.WebSocket];
  expect(sockets).toHaveLength(2);
});
