import { mkdir, writeFile } from "node:fs/promises";
import { bundleConsole } from "./bundle.ts";

/** Writes the bundles of the page beside the built code. Part of the build. */
const folder = new URL("page/", import.meta.url);
const { script, style } = await bundleConsole();
await mkdir(folder, { recursive: true });
await writeFile(new URL("console.js", folder), script);
await writeFile(new URL("console.css", folder), style);
