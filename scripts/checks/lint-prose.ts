import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { checkText } from "./prose/rules.ts";
import { textsOfCode, textsOfMarkdown } from "./prose/texts.ts";

/**
 * Checks comments, names of tests, log lines, errors, descriptions, metrics and Markdown for expressions that make
 * readers stop. Prints a count for each area. With `--list`, or where there are few, it prints each finding. Takes
 * paths to check, or checks everything.
 */

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FEW = 30;
const args = process.argv.slice(2);
const paths = args.filter((arg) => !arg.startsWith("-"));

const counts = new Map<string, number>();
const lines: string[] = [];
for (const path of listFiles()) {
  const source = readFileSync(`${ROOT}/${path}`, "utf8");
  const texts = path.endsWith(".md") ? textsOfMarkdown(source) : textsOfCode(source, { jsx: path.endsWith(".tsx") });
  for (const { start, end, advice } of texts.flatMap(checkText)) {
    const line = source.slice(0, start).split("\n").length;
    const sentence = source.slice(start, end).replaceAll(/\s*\n\s*(?:\/\/|\*)?\s*/g, " ");
    counts.set(areaOf(path), (counts.get(areaOf(path)) ?? 0) + 1);
    lines.push(`${path}:${line}: ${advice}\n    ${sentence}`);
  }
}

if (args.includes("--list") || lines.length <= FEW) for (const line of lines) console.log(line);
for (const [area, count] of [...counts].sort()) console.log(`${area.padEnd(20)} ${count}`);
console.log(`${lines.length} findings`);
process.exitCode = lines.length === 0 ? 0 : 1;

/** The files that git knows or would add. */
function listFiles(): string[] {
  const patterns = paths.length > 0 ? paths : ["*.ts", "*.tsx", "*.mjs", "*.md"];
  const output = execFileSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ...patterns],
    {
      cwd: ROOT,
      encoding: "utf8",
    },
  );
  const deleted = execFileSync("git", ["ls-files", "-z", "--deleted"], { cwd: ROOT, encoding: "utf8" }).split("\0");
  return output.split("\0").filter((path) => /\.(?:tsx?|mjs|md)$/.test(path) && !deleted.includes(path));
}

function areaOf(path: string): string {
  const [top = "", second = ""] = path.split("/");
  if (!path.includes("/")) return "top";
  return top === "apps" || top === "packages" ? `${top}/${second}` : top;
}
