import { expect, test } from "vitest";
import { askWorker } from "../support/bus.ts";
import { startPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { openPusherSocket, pusherUrl } from "../support/pusher-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { openTrace } from "../support/trace.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const SPOOFED = { "X-Forwarded-For": "198.51.100.66, 203.0.113.5" };

const env = { ...pusherAppsEnv(), PUSHER_WORKERS: "1" };
const { nats, bus, publisher, pusher } = useCluster({ pusher: { ...env, PUSHER_TRUSTED_PROXIES: "127.0.0.0/8" } });

/** The remote addresses that the worker reports of a client of every protocol, each with the headers. */
async function remoteAddresses(url: string, headers: Record<string, string>) {
  const raw = await connectRawClient(url, headers);
  const fanwire = await connectFanwire(url, {}, { headers });
  const stream = await readEvents(`${url.replace("ws:", "http:")}sse`, headers);
  const pusherClient = openPusherSocket(pusherUrl(url), headers);
  await pusherClient.next("pusher:connection_established");
  const [workerId = ""] = raw.address.split(".");
  // Addresses, and a socket id, end with the id of the connection.
  const addresses = [raw.address, fanwire.welcome.connection, stream.address(), pusherClient.socketId];
  const described = await Promise.all(
    addresses.map(async (address) => {
      const connectionId = Number(address.split(".")[1]);
      const reply = await askWorker(bus, workerId, { command: "find-connection", connectionId });
      return (reply as { connection: { protocol: string; remoteAddress: string } }).connection;
    }),
  );
  stream.close();
  for (const { socket } of [raw, fanwire, pusherClient]) socket.terminate();
  return Object.fromEntries(described.map(({ protocol, remoteAddress }) => [protocol, remoteAddress]));
}

test("the address of a client of every protocol is what a trusted proxy reports, and no other peer", async () => {
  await using plain = await startPusher({ nats: nats.url, env: { ...env, PUSHER_TRUSTED_PROXIES: "10.0.0.0/8" } });

  const all = (address: string) => ({ raw: address, "fanwire.v1": address, sse: address, pusher: address });
  expect(await remoteAddresses(pusher.url, SPOOFED)).toEqual(all("203.0.113.5"));
  expect(await remoteAddresses(pusher.url, { Forwarded: 'for="[2001:db8::7]:4711"' })).toEqual(all("2001:db8::7"));
  expect(await remoteAddresses(pusher.url, {})).toEqual(all("127.0.0.1"));
  expect(await remoteAddresses(plain.url, SPOOFED)).toEqual(all("127.0.0.1"));
});

test("a trace shows the same address, also of a connection that has closed", async () => {
  const trace = await openTrace(publisher.url, { kinds: "connection" });

  const { socket } = await connectRawClient(pusher.url, SPOOFED);
  socket.close(1000);
  await until("both events", () => trace.of("connection").length === 2);
  trace.close();

  expect(trace.of("connection")).toMatchObject([
    { state: "opened", remoteAddress: "203.0.113.5" },
    { state: "closed", remoteAddress: "203.0.113.5" },
  ]);
});
