import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../testing.ts";
import { dataFolderProblem } from "./data-folder.ts";

test("the folder is created, and one that cannot be written is named with what to do", async () => {
  const root = temporaryFolder();
  writeFileSync(join(root, "file"), "");

  expect(await dataFolderProblem(join(root, "a", "b"))).toBeUndefined();
  expect(existsSync(join(root, "a", "b"))).toBe(true);
  // Not even root can create a folder in a file.
  const folder = join(root, "file", "b");
  expect(await dataFolderProblem(folder)).toMatch(`npm start cannot write to ${folder} (`);
});
