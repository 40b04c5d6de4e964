import { expect, test } from "vitest";
import { uwsHelp, uwsProblem } from "./native-module.ts";

const BEGIN = "This version of uWS.js supports only Node.js versions 16, 18, 20.\n\n";
const here = { node: "22.11.0", system: "linux x64", glibc: "2.36" };

test("an old glibc is named, with a remedy", () => {
  const error = `${BEGIN}Error: libc.so.6: version \`GLIBC_2.4' not found; version \`GLIBC_2.38' not found (required by x)`;

  expect(uwsHelp(error, here)).toBe(
    "with Node 22.11.0 uWebSockets.js needs glibc 2.38, and this system has 2.36. Use Node 20, or a newer system such as Debian 13 or Ubuntu 24.04.",
  );
});

test("a Node without a build, and a system without glibc, are named", () => {
  const missing = `${BEGIN}Error: Cannot find module './uws_linux_x64_131.node'\nRequire stack:\n- x`;
  const musl = `${BEGIN}Error: Error loading shared library ld-linux-x86-64.so.2`;

  expect(uwsHelp(missing, { ...here, node: "23.0.0" })).toMatch(
    /no build for Node 23\.0\.0 on linux x64\. Use Node 20/,
  );
  expect(uwsHelp(musl, { ...here, glibc: undefined })).toMatch(/needs glibc, which Alpine/);
});

test("other errors are not explained", () => {
  expect(uwsProblem(new Error("a bug"))).toBeUndefined();
  expect(uwsProblem("a bug")).toBeUndefined();
  expect(uwsProblem(new Error(`${BEGIN}Error: broken`))).toMatch(/does not load on Node .*: Error: broken\./);
});
