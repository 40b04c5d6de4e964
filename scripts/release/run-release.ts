import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { changelogProblem, dateChangelog, mustBeDated } from "./changelog.ts";
import { type Command, gateSteps, OUTPUT, type Release, releaseSteps, type Step } from "./plan.ts";
import { readManifest, versionProblems } from "./versions.ts";

const USAGE = `Releases the version in package.json: npm run release -- [options]

It checks that the working tree is clean, that all packages, examples and services have the version, that CHANGELOG.md has
entries, and that the tag is new. Then it runs the gate, dates the section of CHANGELOG.md and commits it, packs the npm
packages, writes the bill of materials, builds the images for amd64 and arm64, and tags the commit. It pushes last.

  --dry-run           check, and print every command without running it
  --registry NAME     push the images below this name, such as registry.example/fanwire; without it they stay here
  --source URL        address of the repository, for a label of the images
  --publish           publish the npm packages
  --help              print this

Files are written to ${OUTPUT}/. An image for another processor than this machine's needs its emulation (binfmt).
`;

export type ReleaseParts = {
  readonly root: string;
  readonly args: readonly string[];
  readonly now: Date;
  say(line: string): void;
  /** Runs a command in the root. Throws when it fails. */
  execute(command: Command): void;
};

/** Returns the exit code. */
export function runRelease(parts: ReleaseParts): number {
  const { root, args, say } = parts;
  const options = readOptions(args);
  if (typeof options === "string") {
    say(`${options}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    say(USAGE);
    return 0;
  }
  const { version = "" } = readManifest(join(root, "package.json"));
  const problems = findProblems(root, version);
  for (const problem of problems) say(`Problem: ${problem}`);
  if (problems.length > 0 && !options["dry-run"]) return 1;

  say(options["dry-run"] ? `Release of ${version}; nothing is run:` : `Release of ${version}`);
  perform(parts, version, options);
  if (problems.length > 0) say("\nA release would end before its first command, because of the problems above.");
  else if (!options["dry-run"]) say(`Released. Push the commit and its tag: git push <remote> HEAD v${version}`);
  return problems.length > 0 ? 1 : 0;
}

type Options = ReturnType<typeof parseOptions>;

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "dry-run": { type: "boolean", default: false },
      registry: { type: "string" },
      source: { type: "string" },
      publish: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  return values;
}

/** Returns a sentence when an option is unknown or has no value. */
function readOptions(args: readonly string[]): Options | string {
  try {
    return parseOptions(args);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function findProblems(root: string, version: string): string[] {
  const changed = git(root, "status", "--porcelain");
  const changelog = changelogProblem(readChangelog(root), version);
  return [
    ...(changed === "" ? [] : [`the working tree has changes:\n${changed}`]),
    ...versionProblems(root, version),
    ...(changelog === undefined ? [] : [changelog]),
    ...(git(root, "tag", "--list", `v${version}`) === "" ? [] : [`the tag v${version} exists`]),
  ];
}

function perform(parts: ReleaseParts, version: string, options: Options): void {
  const { root, now } = parts;
  const isDry = options["dry-run"];
  performSteps(parts, gateSteps(), isDry);
  const isCommitted = mustBeDated(readChangelog(root), version);
  if (isCommitted) commitChangelog(parts, version, isDry);
  if (!isDry) mkdirSync(join(root, OUTPUT), { recursive: true });
  const release: Release = {
    version,
    // The commit does not exist in a dry run.
    revision: isDry && isCommitted ? "COMMIT" : git(root, "rev-parse", "HEAD"),
    created: now.toISOString().replace(/\.\d+/, ""),
    registry: options.registry,
    source: options.source,
    isPublished: options.publish,
  };
  performSteps(parts, releaseSteps(release), isDry);
}

function commitChangelog(parts: ReleaseParts, version: string, isDry: boolean): void {
  const { root, now, say } = parts;
  const date = now.toISOString().slice(0, 10);
  say(`\nCHANGELOG.md: "Unreleased" becomes "${version} (${date})"`);
  if (!isDry) writeFileSync(join(root, "CHANGELOG.md"), dateChangelog(readChangelog(root), version, date));
  const commit: Command = ["git", "commit", "--all", "--message", `release: ${version}`];
  performSteps(parts, [{ title: "The released commit", commands: [commit] }], isDry);
}

function performSteps({ say, execute }: ReleaseParts, steps: readonly Step[], isDry: boolean): void {
  for (const { title, commands } of steps) {
    say(`\n${title}`);
    for (const command of commands) {
      say(`  ${command.map(quote).join(" ")}`);
      if (!isDry) execute(command);
    }
  }
}

/** Quotes an argument as a shell reads it. */
function quote(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

function readChangelog(root: string): string {
  return readFileSync(join(root, "CHANGELOG.md"), "utf8");
}

function git(root: string, ...args: string[]): string {
  return execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
}
