import { ConfigError } from "@fanwire/service";
import { expect, test } from "vitest";
import { readConfig } from "./config.ts";

test("an empty environment gives the documented defaults", () => {
  const config = readConfig({});

  expect(config).toMatchObject({
    tcp: { host: "127.0.0.1", port: 2206 },
    socketPath: undefined,
    adminHost: "127.0.0.1",
    adminPort: 9206,
    allowedNetworks: undefined,
    broadcastEvents: ["вещание", "broadcast", "广播"],
    limits: { peers: 10_000, frameBytes: 10_485_760, unsentBytes: 10_485_760, subscriptions: 200_000 },
    queues: { maxBytes: 1_073_741_824, replicas: 1 },
  });
  expect(Object.isFrozen(config)).toBe(true);
});

test.each([
  ["off disables TCP, and a path enables the Unix socket", "off", "/run/channel.sock", undefined, "/run/channel.sock"],
  ["any free port can be used", "0", undefined, 0, undefined],
  ["an empty port counts as absent, as compose files pass it", "", "", 2206, undefined],
])("%s", (_, port, socket, tcpPort, socketPath) => {
  const config = readConfig({ CHANNEL_PORT: port, CHANNEL_SOCKET: socket });

  expect([config.tcp?.port, config.socketPath]).toEqual([tcpPort, socketPath]);
});

test("a server that listens nowhere is refused", () => {
  for (const socket of [undefined, ""]) {
    const read = () => readConfig({ CHANNEL_PORT: "off", CHANNEL_SOCKET: socket });

    expect(read).toThrow(ConfigError);
    expect(read).toThrow(/CHANNEL_PORT is off and CHANNEL_SOCKET is not set.*Set a port or a path/);
  }
});

test("one message names every wrong variable", () => {
  const wrong = {
    CHANNEL_PORT: "65536",
    CHANNEL_ALLOWED_NETWORKS: "10.0.0.0/8,any",
    CHANNEL_MAX_FRAME_BYTES: "10485761",
    CHANNEL_QUEUE_REPLICAS: "0",
  };
  const read = () => readConfig(wrong);

  expect(read).toThrow(ConfigError);
  for (const name of Object.keys(wrong)) expect(read).toThrow(name);
});
