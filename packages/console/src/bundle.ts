import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** The folder of the page's source, also when the built form of this file runs. */
const PAGE = new URL("../src/page/", import.meta.url);

/** Bundles the page and everything that it imports into one script and one style sheet. */
export async function bundleConsole(): Promise<Record<"script" | "style", Uint8Array<ArrayBuffer>>> {
  const { outputFiles } = await build({
    entryPoints: [pathOf("main.tsx"), pathOf("style/console.css")],
    // Nothing is written: the names only distinguish the outputs.
    outdir: "out",
    entryNames: "[name]",
    write: false,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    conditions: ["@fanwire/source"],
    legalComments: "eof",
    logLevel: "silent",
  });
  const outputOf = (extension: string): Uint8Array<ArrayBuffer> => {
    const found = outputFiles.find(({ path }) => path.endsWith(extension));
    if (found === undefined) throw new Error(`the bundle has no ${extension} file`);
    return new Uint8Array(found.contents);
  };
  return { script: outputOf(".js"), style: outputOf(".css") };
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, PAGE));
}
