import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

type Manifest = {
  readonly name?: string;
  readonly version?: string;
  readonly private?: boolean;
  readonly workspaces?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
};

/** Packages on the npm registry. All others are private. */
export const PUBLIC_PACKAGES = ["@fanwire/client", "fanwire"] as const;

export function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Returns the paths of the manifests of all workspaces, relative to the root. */
function workspaceManifests(root: string): string[] {
  const folders = (readManifest(join(root, "package.json")).workspaces ?? []).flatMap((pattern) =>
    pattern.endsWith("/*") ? childrenOf(root, pattern.slice(0, -2)) : [pattern],
  );
  return folders.map((folder) => join(folder, "package.json")).filter((path) => existsSync(join(root, path)));
}

function childrenOf(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder)).map((name) => join(folder, name));
}

/**
 * Returns a sentence for each place that has another version than the root, and for each package that is wrongly public
 * or private.
 */
export function versionProblems(root: string, version: string): string[] {
  const workspaces = workspaceManifests(root).map((path) => ({ path, manifest: readManifest(join(root, path)) }));
  const ours = new Set(workspaces.map(({ manifest }) => manifest.name ?? ""));
  const examples = childrenOf(root, "examples")
    .map((folder) => join(folder, "package.json"))
    .filter((path) => existsSync(join(root, path)))
    .map((path) => ({ path, manifest: readManifest(join(root, path)) }));

  return [
    ...workspaces.flatMap(({ path, manifest }) =>
      manifest.version === version ? [] : [`${path} has version ${manifest.version}, not ${version}`],
    ),
    ...[...workspaces, ...examples].flatMap(({ path, manifest }) =>
      Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
        .filter(([name, wanted]) => ours.has(name) && wanted !== version)
        .map(([name, wanted]) => `${path} depends on ${name} ${wanted}, not ${version}`),
    ),
    ...workspaces.flatMap(({ path, manifest }) => publicityProblem(path, manifest)),
    ...constantProblem(root, version),
    ...lockProblem(root, version),
  ];
}

function publicityProblem(path: string, { name = "", private: isPrivate = false }: Manifest): string[] {
  const isPublic = PUBLIC_PACKAGES.some((each) => each === name);
  if (isPublic && isPrivate) return [`${path} is private, so npm does not publish it`];
  return isPublic || isPrivate ? [] : [`${path} is not private, but is not published`];
}

/** The version that services report. */
function constantProblem(root: string, version: string): string[] {
  const path = "packages/service/src/version.ts";
  const found = /VERSION = "([^"]*)"/.exec(readFileSync(join(root, path), "utf8"))?.[1];
  return found === version ? [] : [`VERSION in ${path} is ${found}, not ${version}`];
}

function lockProblem(root: string, version: string): string[] {
  const { version: locked } = readManifest(join(root, "package-lock.json"));
  return locked === version ? [] : [`package-lock.json has version ${locked}, not ${version}: run npm install`];
}
