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

test("off disables TCP, and a path enables the Unix socket", () => {
  expect(readConfig({ CHANNEL_PORT: "off", CHANNEL_SOCKET: "/run/channel.sock" })).toMatchObject({
    tcp: undefined,
    socketPath: "/run/channel.sock",
  });
  expect(readConfig({ CHANNEL_PORT: "0" }).tcp?.port).toBe(0);
});

test("an empty port counts as absent, as compose files pass it", () => {
  expect(readConfig({ CHANNEL_PORT: "", CHANNEL_SOCKET: "" })).toMatchObject({
    tcp: { port: 2206 },
    socketPath: undefined,
  });
});

test("a server that listens nowhere is refused", () => {
  for (const socket of [undefined, ""]) {
    const read = () => readConfig({ CHANNEL_PORT: "off", CHANNEL_SOCKET: socket });

    expect(read).toThrow(ConfigError);
    expect(read).toThrow(/CHANNEL_PORT is off and CHANNEL_SOCKET is not set.*Set a port or a path/);
  }
});

test("one message names every wrong variable", () => {
  const read = () =>
    readConfig({
      CHANNEL_PORT: "65536",
      CHANNEL_ALLOWED_NETWORKS: "10.0.0.0/8,any",
      CHANNEL_MAX_FRAME_BYTES: "10485761",
      CHANNEL_QUEUE_REPLICAS: "0",
    });

  expect(read).toThrow(ConfigError);
  for (const name of [
    "CHANNEL_PORT",
    "CHANNEL_ALLOWED_NETWORKS",
    "CHANNEL_MAX_FRAME_BYTES",
    "CHANNEL_QUEUE_REPLICAS",
  ]) {
    expect(read).toThrow(name);
  }
});
