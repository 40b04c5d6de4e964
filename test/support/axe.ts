import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";

const script = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");

type Violation = { readonly id: string; readonly nodes: readonly { readonly target: readonly string[] }[] };

/** Returns the accessibility rules that the page violates, with the elements. Checks only `rules` if they are given. */
export async function axeFindings(page: Page, rules?: readonly string[]): Promise<string[]> {
  // By the debugger, so that the page's policy does not apply.
  await page.evaluate(script);
  const { violations } = await page.evaluate<{ violations: readonly Violation[] }>(
    `axe.run(${JSON.stringify(rules === undefined ? {} : { runOnly: rules })})`,
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}
