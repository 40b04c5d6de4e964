import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startChannel } from "../support/cluster.ts";
import { hasPhp, startPhpPeer } from "../support/php-peer.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const {
  nats,
  channels: [one, other],
} = useCluster({ channel: { CHANNEL_ALLOWED_CLASSES: "*\\*,Point" } });
const values = ["object", "reference", "binary", "floats", '{"content":"привет","n":[1,2.5,null]}'];

test.skipIf(!hasPhp)("PHP on another server reads the value that PHP published", async () => {
  await using publisher = startPhpPeer(`tcp://127.0.0.1:${one.port}`);
  await using subscriber = startPhpPeer(`tcp://127.0.0.1:${other.port}`);
  subscriber.send("subscribe", ["вещание", 7, "ready"]);
  await until("the subscriber is subscribed", () => {
    publisher.send("publish", ["ready"]);
    return subscriber.frames.length > 0;
  });

  for (const value of values) publisher.send("publish", ["7", "вещание"], value);
  for (const value of values) publisher.send("enqueue", ["jobs"], value);

  const events = () => subscriber.frames.filter(({ channel }) => channel !== "ready");
  await until("all events", () => events().length === values.length * 2);
  // PHP itself shows how it writes each value; only the publisher's string "7" stays the string it was.
  const expected = serializedByPhp(values);
  expect(events().map(({ channel, data }) => [channel, data])).toEqual(
    expected.flatMap((data) => [
      ["7", data],
      ["вещание", data],
    ]),
  );

  subscriber.send("watch", ["jobs"]);
  for (const [at, data] of expected.entries()) {
    subscriber.send("reserve");
    await until("an item", () => subscriber.frames.at(-1)?.type === "queue" && items().length === at + 1);
    expect(items().at(-1)?.data).toBe(data);
  }
  expect([publisher.exitCode(), subscriber.exitCode()]).toEqual([undefined, undefined]);

  function items() {
    return subscriber.frames.filter(({ type }) => type === "queue");
  }
});

test.skipIf(!hasPhp)("PHP connects to the Unix socket, even after a killed server has left its file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-channel-"));
  const path = join(folder, "channel.sock");
  const killed = await startChannel({ nats: nats.url, env: { CHANNEL_SOCKET: path } });
  await killed.process.stop("SIGKILL");
  await using both = await startChannel({ nats: nats.url, env: { CHANNEL_SOCKET: path } });
  await using overUnix = startPhpPeer(`unix://${path}`);
  await using overTcp = startPhpPeer(`tcp://127.0.0.1:${both.port}`);

  overUnix.send("subscribe", ["x"]);
  await until("the event", () => {
    overTcp.send("publish", ["x"], "1");
    return overUnix.frames.length > 0;
  });

  expect(overUnix.frames[0]).toEqual({ type: "event", channel: "x", data: Buffer.from("i:1;").toString("hex") });
  const second = startChannel({ nats: nats.url, env: { CHANNEL_SOCKET: path } });
  await expect(second, "a socket with a listener is not taken over").rejects.toThrow(/EADDRINUSE/);
  await rm(folder, { recursive: true });
});

/** How PHP writes the values of channel-peer.php, in hexadecimal. */
function serializedByPhp(names: readonly string[]): string[] {
  const script = new URL("../support/channel-peer.php", import.meta.url).pathname;
  const code = `$source = file_get_contents($argv[1]);
    eval(substr($source, 5, strpos($source, '$stream = stream_socket_client') - 5));
    foreach (array_slice($argv, 2) as $name) echo bin2hex(serialize(value($name))), "\\n";`;
  return execFileSync("php", ["-r", code, "--", script, ...names])
    .toString()
    .trim()
    .split("\n");
}
