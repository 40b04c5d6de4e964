import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url));

test("docs/security.md names the archive of uWebSockets.js that is locked, and what is in it", () => {
  const lock: { packages: Record<string, { integrity?: string; version?: string }> } = JSON.parse(
    read("package-lock.json").toString(),
  );
  const { integrity = "no integrity", version } = lock.packages["node_modules/uWebSockets.js"] ?? {};
  const text = read("docs/security.md").toString();

  expect(text).toContain(integrity);
  expect(text).toContain(`npm:uwebsockets@${version}`);
  expect(text).toContain(read("node_modules/uWebSockets.js/source_commit").toString().trim());
  for (const binary of ["uws_linux_x64_137.node", "uws_linux_arm64_137.node"]) {
    const hash = createHash("sha256")
      .update(read(`node_modules/uWebSockets.js/${binary}`))
      .digest("hex");
    expect(text).toContain(`${hash}  ${binary}`);
  }
});
