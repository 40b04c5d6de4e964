import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A frame as read by PHP. */
type PhpFrame = {
  readonly type: string;
  readonly channel: string | number;
  /** Its data, serialized by PHP again, in hexadecimal. */
  readonly data: string;
};

export const hasPhp = spawnSync("php", ["-v"]).status === 0;

/** Starts a PHP process that is a peer of the channel server. */
export function startPhpPeer(address: string) {
  const script = fileURLToPath(new URL("./channel-peer.php", import.meta.url));
  const child = spawn("php", [script, address], { stdio: ["pipe", "pipe", "inherit"] });
  const frames: PhpFrame[] = [];
  let text = "";
  let exitCode: number | null | undefined;
  child.stdout.on("data", (data: Buffer) => {
    const lines = (text + data.toString()).split("\n");
    text = lines.pop() ?? "";
    frames.push(...lines.map((line) => JSON.parse(line) as PhpFrame));
  });
  const exited = once(child, "exit").then(([code]) => {
    exitCode = code;
  });
  return {
    frames,
    /** `data` names a value of channel-peer.php, or is JSON. */
    send: (type: string, names: readonly (string | number)[] = [], data = "null") =>
      void child.stdin.write(`${JSON.stringify([type, names, data])}\n`),
    /** Exit code, or `undefined` while PHP runs. */
    exitCode: () => exitCode,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
