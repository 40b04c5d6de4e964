import { cpSync, existsSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";

const SERVICES = ["channel", "publisher", "pusher", "webhooks"];
/** Programs of a service. Only the pusher has workers. */
const ENTRIES = ["main.js", "worker-main.js"];
const FOLDER = "dist-bundled";

/**
 * Writes each built service into `dist-bundled`, as the build does into `dist`, but with all modules in one file. Tests
 * start hundreds of services, and Node spends most of a start on finding and loading four hundred modules.
 *
 * @param root the folder of turbo.json, where the services are built
 */
export async function bundleServices(root: string): Promise<void> {
  await Promise.all(SERVICES.map((service) => bundle(join(root, "apps", service))));
}

async function bundle(app: string): Promise<void> {
  const [built, bundled] = [join(app, "dist"), join(app, FOLDER)];
  rmSync(bundled, { recursive: true, force: true });
  cpSync(built, bundled, { recursive: true }); // files that a module finds beside itself
  await build({
    entryPoints: ENTRIES.map((name) => join(built, name)).filter(existsSync),
    outdir: bundled,
    allowOverwrite: true,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    keepNames: true,
    logLevel: "error",
    external: ["uWebSockets.js", "esbuild"],
    // Packages in the older module format call it.
    banner: {
      js: `import { createRequire as require_ } from "node:module"; const require = require_(import.meta.url);`,
    },
    plugins: [keepLocations(built, bundled)],
  });
}

/** Lets each module know its own location, not that of the bundle. Those of the service seem to lie in `bundled`. */
function keepLocations(built: string, bundled: string): Plugin {
  return {
    name: "keep-locations",
    setup: ({ onLoad }) => {
      onLoad({ filter: /\.m?js$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8");
        if (!text.includes("import.meta.url")) return undefined;
        const within = relative(built, path);
        const location = pathToFileURL(within.startsWith("..") ? path : join(bundled, within)).href;
        return { contents: text.replaceAll("import.meta.url", JSON.stringify(location)), loader: "js" };
      });
    },
  };
}
