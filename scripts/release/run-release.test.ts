import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../testing.ts";
import { runRelease } from "./run-release.ts";

let root: string;
let said: string[];
let executed: string[];

const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();

function write(path: string, content: string | object): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), typeof content === "string" ? content : JSON.stringify(content));
}

function commit(): void {
  git("add", "--all");
  git("commit", "--quiet", "--message", "change");
}

beforeEach(() => {
  root = temporaryFolder();
  [said, executed] = [[], []];
  write("package.json", { version: "1.2.0", private: true, workspaces: ["packages/*", "test"] });
  write("package-lock.json", { version: "1.2.0" });
  write("packages/client/package.json", { name: "@fanwire/client", version: "1.2.0" });
  const devDependencies = { "@fanwire/client": "1.2.0" };
  write("packages/cli/package.json", { name: "fanwire", version: "1.2.0", devDependencies });
  write("packages/service/package.json", { name: "@fanwire/service", version: "1.2.0", private: true });
  write("packages/service/src/version.ts", 'export const VERSION = "1.2.0";\n');
  write("test/package.json", { name: "@fanwire/test", version: "1.2.0", private: true });
  write("examples/react/package.json", { dependencies: { "@fanwire/client": "1.2.0", react: "19.3.1" } });
  write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n- Something new.\n\n## 1.1.0 (2026-01-01)\n\n- Older.\n");
  git("init", "--quiet");
  git("config", "user.name", "test");
  git("config", "user.email", "test@example.invalid");
  commit();
});

/** Runs a release whose commands are recorded. Those of git are carried out. */
function release(...args: string[]): number {
  return runRelease({
    root,
    args,
    now: new Date("2026-11-30T12:34:56.789Z"),
    say: (line) => said.push(line),
    execute: (command) => {
      executed.push(command.join(" "));
      if (command[0] === "git") git(...command.slice(1));
    },
  });
}

test("a dry run prints every command, and changes nothing", () => {
  const before = git("rev-parse", "HEAD");

  expect(release("--dry-run", "--registry", "registry.example/fanwire", "--publish")).toBe(0);

  const text = said.join("\n");
  for (const command of [
    "bash .ci/run",
    "npm pack --workspace @fanwire/client --workspace fanwire --pack-destination release",
    "npm run sbom -- release/fanwire-1.2.0.cdx.json",
    "docker buildx build --platform linux/amd64 --build-arg APP=pusher --build-arg VERSION=1.2.0 --build-arg REVISION=COMMIT",
    "docker buildx build --platform linux/arm64 --build-arg APP=webhooks",
    "docker push registry.example/fanwire/fanwire-channel:1.2.0-arm64",
    "--tag registry.example/fanwire/fanwire-publisher:latest",
    "git tag --annotate v1.2.0 --message 'Fanwire 1.2.0'",
    "npm publish release/fanwire-client-1.2.0.tgz --access public",
    "npm publish release/fanwire-1.2.0.tgz --access public",
  ]) {
    expect(text).toContain(command);
  }
  expect(executed).toEqual([]);
  expect([git("status", "--porcelain"), git("rev-parse", "HEAD"), git("tag")]).toEqual(["", before, ""]);
  expect(existsSync(join(root, "release"))).toBe(false);
});

test("a release passes the gate first, dates the changelog, and tags the commit of the images", () => {
  expect(release()).toBe(0);

  expect(executed[0]).toBe("bash .ci/run");
  expect(readFileSync(join(root, "CHANGELOG.md"), "utf8")).toContain("\n## 1.2.0 (2026-11-30)\n\n- Something new.\n");
  expect(git("log", "--max-count=1", "--format=%s")).toBe("release: 1.2.0");
  expect(git("rev-parse", "v1.2.0^{commit}")).toBe(git("rev-parse", "HEAD"));
  const builds = executed.filter((command) => command.startsWith("docker buildx build"));
  expect(builds).toHaveLength(8);
  for (const build of builds) {
    expect(build).toContain(`REVISION=${git("rev-parse", "HEAD")} --build-arg CREATED=2026-11-30T12:34:56Z`);
  }
  expect(executed.filter((command) => /^docker push|imagetools|^npm publish/.test(command))).toEqual([]);
});

test("pushes come last, and a preview is neither latest nor a minor version", () => {
  const files = git("grep", "--files-with-matches", "--fixed-strings", "1.2.0").split("\n");
  for (const path of files) replace(path, "1.2.0", "1.3.0-rc.1");
  commit();

  expect(release("--registry", "r.example", "--source", "https://code.example", "--publish")).toBe(0);

  const tagged = executed.findIndex((command) => command.startsWith("git tag"));
  expect(executed.findIndex((command) => /^docker push|^npm publish/.test(command))).toBeGreaterThan(tagged);
  const text = executed.join("\n");
  expect(text).toContain("--label org.opencontainers.image.source=https://code.example");
  expect(text).toContain(
    "imagetools create --tag r.example/fanwire-pusher:1.3.0-rc.1 r.example/fanwire-pusher:1.3.0-rc.1-amd64",
  );
  expect(text).toContain("--access public --tag next");
  expect(text).not.toMatch(/latest|:1\.3 /);
});

test.each([
  ["a changed file", () => write("new.txt", "x"), "the working tree has changes"],
  [
    "a package of another version",
    () => replace("test/package.json", "1.2.0", "1.1.0"),
    "test/package.json has version 1.1.0",
  ],
  [
    "a dependency on another version",
    () => replace("packages/cli/package.json", '"@fanwire/client":"1.2.0"', '"@fanwire/client":"1.1.0"'),
    "packages/cli/package.json depends on @fanwire/client 1.1.0",
  ],
  [
    "an example of another version",
    () => replace("examples/react/package.json", "1.2.0", "1.1.0"),
    "examples/react/package.json depends on @fanwire/client 1.1.0",
  ],
  [
    "services that report another version",
    () => replace("packages/service/src/version.ts", "1.2.0", "1.1.0"),
    "VERSION in",
  ],
  ["an old lock file", () => replace("package-lock.json", "1.2.0", "1.1.0"), "package-lock.json has version 1.1.0"],
  ["a private client", () => replace("packages/client/package.json", "{", '{"private":true,'), "is private"],
  ["a package that nobody meant to publish", () => replace("test/package.json", "true", "false"), "is not private"],
  ["no entries", () => replace("CHANGELOG.md", "- Something new.", ""), "is empty"],
  ["no section", () => replace("CHANGELOG.md", "## Unreleased", "## 1.0.0"), 'no section "## 1.2.0"'],
  ["entries in two sections", () => replace("CHANGELOG.md", "## 1.1.0", "## 1.2.0"), 'entries under "## Unreleased"'],
  ["the tag of an earlier release", () => git("tag", "v1.2.0"), "the tag v1.2.0 exists"],
])("%s ends a release before its first command, and is a failure of a dry run", (name, change, problem) => {
  change();
  if (name !== "a changed file" && git("status", "--porcelain") !== "") commit();

  expect(release()).toBe(1);
  expect(executed).toEqual([]);
  expect(said.join("\n")).toContain(problem);
  expect(release("--dry-run")).toBe(1);
});

test("help and unknown options print the usage", () => {
  expect([release("--help"), release("--dryrun")]).toEqual([0, 2]);
  expect(said.join("\n")).toMatch(/--dry-run .*Unknown option '--dryrun'/s);
  expect(executed).toEqual([]);
});

function replace(path: string, from: string, to: string): void {
  const text = readFileSync(join(root, path), "utf8");
  expect(text).toContain(from);
  writeFileSync(join(root, path), text.replaceAll(from, to));
}
