import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";

/** Starts a process that prints what `onceAskedToStop` does, and runs until it is killed. */
function startListener(options: {
  readonly samePressMs: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly shell?: true;
}) {
  const module = new URL("./signals.ts", import.meta.url).href;
  const script = `
    import { onceAskedToStop } from ${JSON.stringify(module)};
    onceAskedToStop(() => console.log("end at once"), ${options.samePressMs}).then(() => console.log("asked"));
    setInterval(() => {}, 1000);
    console.log("pid " + process.pid);`;
  const args = ["--import", "tsx", "--input-type=module", "-e", script];
  const env = { ...process.env, npm_lifecycle_event: undefined, ...options.env };
  const child = options.shell
    ? // Not the last command of the shell, so that no shell replaces itself by it.
      spawn("/bin/sh", ["-c", '"$0" "$@"; exit $?', process.execPath, ...args], { env })
    : spawn(process.execPath, args, { env });
  let text = "";
  child.stdout.on("data", (data: Buffer) => {
    text += data.toString();
  });
  return {
    child,
    pid: () => Number(/pid (\d+)/.exec(text)?.[1]),
    said: (word: string) => expect.poll(() => text, { timeout: 10_000 }).toContain(word),
  };
}

test("the same Ctrl-C from the terminal and from npm is one", async () => {
  const { child, said } = startListener({ samePressMs: 60_000 });
  await said("pid");

  child.kill("SIGINT");
  await said("asked");
  child.kill("SIGINT");
  child.kill("SIGTERM");

  child.kill("SIGKILL");
  expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
});

test("a second signal ends everything at once", async () => {
  const { child, said } = startListener({ samePressMs: -1 });
  await said("pid");

  child.kill("SIGINT");
  await said("asked");
  const exited = once(child, "exit");
  child.kill("SIGINT");

  expect(await exited).toEqual([1, null]);
  await said("end at once");
});

test("the end of the shell between npm and this process is a request to stop", async () => {
  const { child, said, pid } = startListener({
    samePressMs: 60_000,
    env: { npm_lifecycle_event: "start" },
    shell: true,
  });
  await said("pid");

  child.kill("SIGTERM");

  await said("asked");
  process.kill(pid(), "SIGKILL");
});
