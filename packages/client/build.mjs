import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/**
 * Builds the package: ES modules and declarations by tsc, one CommonJS file with the same declarations, and one
 * minified ES module that pushers and publishers serve as /client.js.
 */

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const DIST = join(ROOT, "dist");
/** Beside dist, so that the relative paths in source maps are right. */
const fresh = join(ROOT, `.dist-${process.pid}`);

try {
  // npm has the folder of tsc in PATH.
  execFileSync("tsc", ["-p", "tsconfig.build.json", "--outDir", fresh], { cwd: ROOT, stdio: "inherit" });
  await bundle("cjs/index.js", { format: "cjs", platform: "neutral", sourcemap: true });
  const { name, version, license } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const banner = { js: `/* ${name} ${version}, ${license} licensed */` };
  await bundle("browser/client.js", { format: "esm", platform: "browser", minify: true, banner });
  describeCommonJs();
  const built = new Set(filesOf(fresh));
  for (const path of built) install(path);
  for (const path of filesOf(DIST)) if (!built.has(path)) rmSync(join(DIST, path));
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

async function bundle(path, options) {
  const entry = join(ROOT, "src/index.ts");
  await build({ entryPoints: [entry], outfile: join(fresh, path), bundle: true, target: "es2022", ...options });
}

/**
 * Copies the declarations, because TypeScript takes those beside ES modules for ES modules, which CommonJS cannot
 * import.
 */
function describeCommonJs() {
  const declarations = filesOf(fresh).filter((path) => path.endsWith(".d.ts"));
  for (const path of declarations) cpSync(join(fresh, path), join(fresh, "cjs", path));
  writeFileSync(join(fresh, "cjs/package.json"), '{ "type": "commonjs" }\n');
}

/** Renames a changed file into dist, so that processes that read dist meanwhile find no half of a file. */
function install(path) {
  const [from, to] = [join(fresh, path), join(DIST, path)];
  if (existsSync(to) && readFileSync(to).equals(readFileSync(from))) return;
  mkdirSync(dirname(to), { recursive: true });
  renameSync(from, to);
}

function filesOf(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}
