import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BROWSER_PATH } from "./browser.ts";

const run = promisify(execFile);
const cli = fileURLToPath(import.meta.resolve("lighthouse/cli/index.js"));

const CATEGORIES = ["performance", "accessibility", "best-practices"] as const;
type Category = (typeof CATEGORIES)[number];

type Audit = { readonly score: number | null; readonly title: string };
type Report = {
  readonly categories: Readonly<
    Record<Category, { readonly score: number; readonly auditRefs: { readonly id: string }[] }>
  >;
  readonly audits: Readonly<Record<string, Audit>>;
};

/** Runs Lighthouse as a phone on a slow network. Returns the scores, 0 to 100, and the audits that cost points. */
export async function lighthouse(url: string): Promise<{ scores: Record<Category, number>; findings: string[] }> {
  const flags = ["--chrome-flags=--headless=new --no-sandbox --disable-gpu", `--only-categories=${CATEGORIES.join()}`];
  const { stdout } = await run(process.execPath, [cli, url, "--quiet", "--output=json", ...flags], {
    env: { ...process.env, CHROME_PATH: BROWSER_PATH },
    maxBuffer: 64 << 20,
  });
  const { categories, audits } = JSON.parse(stdout) as Report;
  const scores = CATEGORIES.map((name) => [name, Math.round(categories[name].score * 100)]);
  const ids = new Set(CATEGORIES.flatMap((name) => categories[name].auditRefs.map(({ id }) => id)));
  const failed = [...ids].filter((id) => (audits[id]?.score ?? 1) < 0.9);
  return {
    scores: Object.fromEntries(scores) as Record<Category, number>,
    findings: failed.map((id) => `${id}: ${audits[id]?.title}`),
  };
}
