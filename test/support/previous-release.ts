import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The release before this one. Nothing is released yet, so it is the last commit before the work on this release. */
const PREVIOUS = "8b0ad28859eda2335fcf9da096cfeaff23f950fa";

/** Reason why tests with the previous release are skipped, or `undefined`. */
export const missingPreviousRelease =
  spawnSync("git", ["cat-file", "-e", `${PREVIOUS}^{commit}`], { cwd: ROOT, stdio: "ignore" }).status === 0
    ? undefined
    : `this clone does not hold the commit ${PREVIOUS} of the previous release: git fetch --unshallow`;

export type PreviousRelease = Disposable & {
  /** The folder of its source, which runs with the dependencies of this release. */
  readonly root: string;
};

/** Writes the source of the previous release to a temporary folder. */
export function checkOutPreviousRelease(): PreviousRelease {
  const root = mkdtempSync(join(tmpdir(), "fanwire-previous-"));
  const archive = execFileSync("git", ["archive", PREVIOUS, "apps", "packages", "package.json", "tsconfig.json"], {
    cwd: ROOT,
    maxBuffer: 256 << 20,
  });
  execFileSync("tar", ["-x", "-C", root], { input: archive });
  linkDependencies(root);
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

/**
 * Links installed packages to those of this release, and the packages of the workspace to those of the previous one.
 */
function linkDependencies(root: string): void {
  const [installed, linked] = [join(ROOT, "node_modules"), join(root, "node_modules")];
  mkdirSync(join(linked, "@fanwire"), { recursive: true });
  for (const name of readdirSync(installed)) {
    if (name !== "@fanwire") symlinkSync(join(installed, name), join(linked, name));
  }
  for (const parent of ["apps", "packages"]) {
    for (const name of readdirSync(join(root, parent))) {
      symlinkSync(join(root, parent, name), join(linked, "@fanwire", name));
      const own = join(ROOT, parent, name, "node_modules");
      if (existsSync(own)) symlinkSync(own, join(root, parent, name, "node_modules"));
    }
  }
}
