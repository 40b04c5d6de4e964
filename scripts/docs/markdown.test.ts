import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAX_WIDTH = 120;
const INDEX = "docs/README.md";

/** Markdown files, by their path in the repository. */
const pages = new Map(filesOf("*.md").map((path) => [path, readFileSync(join(ROOT, path), "utf8")]));

test("every relative link of the documentation leads to a file and a heading", () => {
  const broken = [...pages].flatMap(([page, text]) =>
    linksOf(text)
      .filter((link) => !leadsSomewhere(page, link))
      .map((link) => `${page}: ${link}`),
  );

  expect(broken).toEqual([]);
});

test("the index of the documentation lists every page, and some page shows every image", () => {
  const linked = (page: string) => linksOf(pages.get(page) ?? "").map((link) => fileOf(page, link));
  const listed = linked(INDEX);
  const shown = [...pages.keys()].flatMap(linked);

  const isLost = (path: string) =>
    /^docs\/[^/]+\.md$/.test(path)
      ? path !== INDEX && !listed.includes(path)
      : /\.(?:png|svg)$/.test(path) && !shown.includes(path);
  expect(filesOf("docs").filter(isLost)).toEqual([]);
});

test("every file that the documentation names exists", () => {
  const missing = [...pages].flatMap(([page, text]) =>
    namedFiles(text)
      .filter((path) => !existsSync(join(ROOT, path)))
      .map((path) => `${page}: ${path}`),
  );

  expect(missing).toEqual([]);
});

test.each(["pusher", "publisher", "channel", "webhooks"])("the map of rooms lists every folder of %s", (app) => {
  const folders = readdirSync(join(ROOT, "apps", app, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  const [, table = ""] = (pages.get("docs/architecture.md") ?? "").split(`| \`apps/${app}/src/\` | holds |`);
  const [rows = ""] = table.split("\n\n");
  const listed = [...rows.matchAll(/^\| `([^`/]+)\/` \|/gm)].map(([, folder]) => folder);

  expect(listed.sort()).toEqual(folders.sort());
});

test("the marks around code are alone on their lines, in pairs", () => {
  const marks = [...pages].map(([page, text]) => ({
    page,
    lines: text.split("\n").filter((line) => line.includes("```")),
  }));

  const wrong = marks.filter(({ lines }) => lines.length % 2 === 1 || lines.some((line) => !/^\s*```\w*$/.test(line)));
  expect(wrong).toEqual([]);
});

test("lines of prose have at most 120 characters", () => {
  const long = [...pages].flatMap(([page, text]) =>
    text
      .split("\n")
      .map((line, at) => ({ line, at }))
      .filter(({ line }) => line.length > MAX_WIDTH && !/^\s*(?:\||`[^ ]*`\.?$)/.test(line) && !line.includes("](http"))
      .map(({ at }) => `${page}:${at + 1}`),
  );

  expect(long.filter((place) => !isCode(place))).toEqual([]);
});

/** Returns the files that git does not ignore. */
function filesOf(pattern: string): string[] {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", pattern];
  const paths = execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).split("\0");
  return paths.filter((path) => path !== "" && existsSync(join(ROOT, path)));
}

/** Returns relative links and images, also with a title or as the definition of a reference. */
function linksOf(text: string): string[] {
  const prose = withoutCode(text).replaceAll(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(\s*<?([^)\s>]+)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|href)="([^"]+)"/gm)]
    .map(([, link, reference, attribute]) => link ?? reference ?? attribute ?? "")
    .filter((link) => !/^[a-z]+:/.test(link));
}

/** Returns the file of a relative link, by its path in the repository. */
function fileOf(page: string, link: string): string {
  const [file = ""] = link.split("#");
  return file === "" ? page : relative(ROOT, join(ROOT, dirname(page), decodeURI(file)));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [, anchor] = link.split("#");
  const path = fileOf(page, link);
  if (path.startsWith("..") || !existsSync(join(ROOT, path))) return false;
  return anchor === undefined || anchorsOf(pages.get(path) ?? "").includes(anchor);
}

/** Returns the anchors of headings as GitHub makes them: a repeated heading gets a number. */
function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutCode(text).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = ""]) => {
    const anchor = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-");
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  });
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, "");
}

/** Returns paths in backticks that begin with a folder of the repository. Patterns and built files are not checked. */
function namedFiles(text: string): string[] {
  const paths = [...text.matchAll(/`((?:apps|packages|test|scripts|bench|docs|deploy)\/[^`\s*{]+)`/g)];
  return paths.map(([, path = ""]) => path).filter((path) => !/\/(?:dist|results)\//.test(`${path}/`));
}

/** Whether a line lies in a block of code. */
function isCode(place: string): boolean {
  const [page = "", number] = place.split(":");
  const lines = (pages.get(page) ?? "").split("\n");
  const at = Number(number) - 1;
  const fences = lines.slice(0, at).filter((line) => line.startsWith("```")).length;
  return fences % 2 === 1 || (lines[at] ?? "").startsWith("    ");
}
