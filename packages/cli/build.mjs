import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/**
 * Bundles src/main.ts with the packages of this repository, which are private, to dist/main.js. Packages of npm stay
 * imports, so that an installed `fanwire` has them with their licences. package.json must list each of them in the
 * version of this repository.
 */

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const PREFIX = "@fanwire/";

const { dependencies = {} } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const [entry = "src/main.ts", outfile = "dist/main.js"] = process.argv.slice(2);

const { metafile, outputFiles } = await build({
  absWorkingDir: ROOT,
  entryPoints: [entry],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  conditions: ["@fanwire/source"],
  sourcemap: true,
  metafile: true,
  write: false,
  plugins: [{ name: "packages of npm stay imports", setup: keepImports }],
});

const missing = packagesOf(metafile)
  .filter((name) => dependencies[name] !== installedVersion(name))
  .map((name) => `"${name}": "${installedVersion(name)}"`);
if (missing.length > 0) throw new Error(`packages/cli/package.json must have the dependencies ${missing.join(", ")}`);
for (const { path, contents } of outputFiles) writeChanged(path, contents);

function keepImports({ onResolve }) {
  onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
    return kind === "entry-point" || path.startsWith(PREFIX) ? undefined : { path, external: true };
  });
}

/** Returns the packages of npm that the bundle imports. */
function packagesOf({ outputs }) {
  const imported = Object.values(outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  const isBuiltIn = (path) => path.startsWith("node:") || builtinModules.includes(path);
  const nameOf = (path) => path.split("/", path.startsWith("@") ? 2 : 1).join("/");
  return [...new Set(imported.filter((path) => !isBuiltIn(path)).map(nameOf))].sort();
}

function installedVersion(name) {
  return JSON.parse(readFileSync(join(ROOT, "../../node_modules", name, "package.json"), "utf8")).version;
}

/** Renames the file into its place, so that a process that starts meanwhile reads no half of it. */
function writeChanged(path, contents) {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, contents);
  renameSync(`${path}.${process.pid}`, path);
}
