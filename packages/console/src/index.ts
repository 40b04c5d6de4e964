import { readFile } from "node:fs/promises";

/** The files of the console's page. */
export type ConsoleFiles = { readonly script: Uint8Array<ArrayBuffer>; readonly style: Uint8Array<ArrayBuffer> };

/**
 * Returns the bundles that the build wrote beside this file. Bundles the source instead if Node runs the source;
 * esbuild is a development dependency.
 */
export async function readConsoleFiles(): Promise<ConsoleFiles> {
  if (import.meta.url.endsWith(".ts")) return (await import("./bundle.ts")).bundleConsole();
  const [script, style] = await Promise.all([read("console.js"), read("console.css")]);
  return { script, style };
}

function read(name: string): Promise<Buffer<ArrayBuffer>> {
  return readFile(new URL(`page/${name}`, import.meta.url));
}
