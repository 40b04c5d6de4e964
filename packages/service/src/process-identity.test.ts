import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { hasProcessEnded, identifyProcess } from "./process-identity.ts";

const isLinux = process.platform === "linux";

test.runIf(isLinux)("a process is known to run, and known to have ended when it has", async () => {
  const [machine, , startedAt] = (identifyProcess() ?? "").split("/");
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const ofChild = (started: string | undefined) => `${machine}/${child.pid}/${started}`;

  expect(hasProcessEnded(identifyProcess() ?? "")).toBe(false);
  // Another process that had the same PID before.
  expect(hasProcessEnded(ofChild(startedAt))).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(hasProcessEnded(ofChild("1"))).toBe(true);
});

test("a process of another machine, or a malformed identity, is unknown", () => {
  for (const identity of ["other:pid:[1]/1/1", "", "a/b/c", "///", `x/${process.pid}/0`]) {
    expect(hasProcessEnded(identity), identity).toBeUndefined();
  }
});
