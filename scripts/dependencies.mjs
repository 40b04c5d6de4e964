import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

// Plain JavaScript without imports from node_modules, because this runs before anything is installed.

const OLDEST_NODE = [20, 19];

/**
 * Makes `node_modules` match `package-lock.json`. Costs milliseconds when it already does.
 * Ends the process with a message when Node is too old or `npm ci` fails.
 *
 * @param {string} root the folder of package-lock.json
 * @returns {Promise<void>}
 */
export async function ensureDependencies(root) {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    end(`Fanwire needs Node ${OLDEST_NODE.join(".")} or newer; this is ${process.version} (${process.execPath}).`);
  }

  const reason = whyInstall(root);
  if (reason === undefined) return;
  console.error(`Installing dependencies with npm ci (${reason}) …`);
  const exitCode = await npmCi(root);
  if (exitCode !== 0) end(`npm ci failed (exit code ${exitCode}); see its output above.`);
}

/**
 * Compares the lock file with npm's own record of what is installed. npm writes the record last, so that an interrupted
 * installation does not count, and a manual one does.
 *
 * @param {string} root
 * @returns {string | undefined}
 */
function whyInstall(root) {
  const wanted = readPackages(join(root, "package-lock.json"));
  if (wanted === undefined) end(`There is no package-lock.json in ${root}.`);
  const installed = readPackages(join(root, "node_modules", ".package-lock.json"));
  if (installed === undefined) return "nothing is installed yet";

  for (const [path, { version, integrity, link, optional, devOptional }] of Object.entries(wanted)) {
    if (!path.includes("node_modules/")) continue;
    const found = installed[path];
    // The lock file has packages of other platforms, which npm does not install here.
    if (found === undefined && (optional || devOptional)) continue;
    if (found === undefined) return `${path} is missing`;
    if (!link && (found.version !== version || found.integrity !== integrity)) return "package-lock.json has changed";
  }
  return undefined;
}

/**
 * @typedef {{ version?: string, integrity?: string, link?: boolean, optional?: boolean, devOptional?: boolean }} LockedPackage
 * @param {string} path
 * @returns {Record<string, LockedPackage> | undefined} undefined when the file is missing or incomplete
 */
function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} root
 * @returns {Promise<number>}
 */
function npmCi(root) {
  // Under `npm start` this is the running npm, which need not be the first on PATH.
  const { npm_execpath: npm } = process.env;
  const [command, ...prefix] = npm?.endsWith(".js") ? [process.execPath, npm] : ["npm"];
  // With NODE_ENV=production npm would omit tsx, which runs the TypeScript of this repository.
  const child = spawn(command, [...prefix, "ci", "--include=dev"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const forward = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal);
  process.on("SIGINT", forward).on("SIGTERM", forward);
  return new Promise((resolve) => {
    child.on("error", (error) => end(`npm could not be started: ${error.message}`));
    child.on("exit", (code, signal) => {
      process.off("SIGINT", forward).off("SIGTERM", forward);
      if (signal) end(`npm ci was ended by ${signal}.`);
      resolve(code ?? 1);
    });
  });
}

/**
 * @param {string} message
 * @returns {never}
 */
function end(message) {
  console.error(message);
  process.exit(1);
}
