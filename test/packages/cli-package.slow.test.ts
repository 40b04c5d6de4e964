import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createApp, pack, run, useFolder } from "../support/packed.ts";

const BIN = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url));

const folder = await useFolder();

test("the tarball of the command line installs without the private packages, and runs", async () => {
  const tarball = await pack("cli", folder);
  const [linted, app] = await Promise.all([
    run(folder, join(BIN, "publint"), [tarball, "--strict"]),
    createApp(join(folder, "app"), {
      "package.json": { private: true, dependencies: { fanwire: `file:${tarball}` } },
    }),
  ]);

  expect(linted).toContain("All good!");
  expect(await readdir(join(app, "node_modules"))).not.toContain("@fanwire");
  expect(await run(app, "npx", ["fanwire", "--help"])).toContain("Usage: fanwire");
});
