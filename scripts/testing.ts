import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Makes a folder for a test, and deletes it at its end. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "fanwire-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
