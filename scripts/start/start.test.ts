import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

test("an unknown argument of npm start is named before anything is installed", async () => {
  const root = await mkdtemp(join(tmpdir(), "fanwire-start-"));
  for (const file of ["start/start.mjs", "dependencies.mjs"]) {
    await cp(new URL(`../${file}`, import.meta.url), join(root, "scripts", file));
  }
  await writeFile(join(root, "package-lock.json"), "{}");

  const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      [join(root, "scripts", "start", "start.mjs"), "--help", "--port=1", "x"],
      (error, _, stderr) => resolve({ code: error?.code, stderr }),
    );
  });

  expect(code).toBe(2);
  expect(stderr).toContain("unknown argument: --port=1 x");
  expect((await readdir(root)).sort()).toEqual(["package-lock.json", "scripts"]);
  await rm(root, { recursive: true });
});
