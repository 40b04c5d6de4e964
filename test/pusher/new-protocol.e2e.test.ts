import { get } from "node:http";
import { createLog } from "@fanwire/service";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { askWorker, describeWorkers, publishToTopic } from "../support/bus.ts";
import { topic } from "../support/durable.ts";
import { freePorts } from "../support/free-ports.ts";
import {
  type BatchedFrames,
  clientProtocols,
  newConnectionState,
  ResponseConnection,
  type RoutedProtocol,
  readConfig,
  type SingleFrames,
  startSession,
  startWorker,
  type WebSocketProtocol,
  type Worker,
} from "../support/pusher-sources.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const textLines: BatchedFrames = {
  frames: "batched",
  batching: { separator: "", maxBytes: 65_536 },
  reportsDrain: false,
  encode: ({ text }) => `${text.event ?? "message"}\t${text.data}\n`,
};

/** A protocol with a route of its own: `GET /lines` answers with a line for each publication. */
const lines: RoutedProtocol = {
  name: "lines",
  canResume: false,
  encodings: [textLines],
  encodingOf: () => textLines,
  openRoutes({ app }, parts) {
    const { handshakes, hub, counters, config } = parts;
    app.get("/lines", (response, request) => {
      const received = handshakes.receive(request);
      if (received.outcome !== "admitted") return void response.close();
      const state = newConnectionState({
        connectionId: hub.nextConnectionId(),
        protocol: lines,
        grant: received.grant,
      });
      const connection = new ResponseConnection({
        response,
        state,
        counters,
        unsentLimit: config.limits.unsentBytes,
        comment: "\n",
        farewell: (code) => `closed\t${code}\n`,
      });
      connection.onEnd = (code) => hub.close(connection, code, "");
      response.onAborted(() => connection.onAborted());
      startSession(parts, connection, received.query, () => connection.send("welcome\t\n"));
    });
    return { stop: () => {} };
  },
};

const bracketed: SingleFrames = { frames: "single", encode: ({ text }) => Buffer.from(`[${text.data}]`) };

/** A protocol over the shared WebSocket route, which clients select by its subprotocol. */
const brackets: WebSocketProtocol = {
  name: "brackets",
  subprotocol: "brackets.v1",
  canResume: false,
  encodings: [bracketed],
  encodingOf: () => bracketed,
  openSessions: (parts) => ({
    wait: () => {},
    start: (socket, query) => startSession(parts, socket, query, () => socket.send("[]", false)),
    receive: () => {},
    close: () => {},
  }),
};

const { nats, bus, history } = useCluster();
let worker: Worker;
let port: number;

beforeAll(async () => {
  [port = 0] = await freePorts(1);
  worker = await startWorker({
    config: readConfig({ FANWIRE_NATS_URL: nats.url, PUSHER_HOST: "127.0.0.1", PUSHER_DRAIN_SECONDS: "0" }),
    slot: 1,
    port,
    log: createLog("pusher", "error"),
    signal: new AbortController().signal,
    protocols: [...clientProtocols, lines, brackets],
  });
});
afterAll(() => worker.stop());

/** Resolves when the connection has received its welcome. */
async function openLines(query: string): Promise<() => string> {
  let text = "";
  get(`http://127.0.0.1:${port}/lines${query}`, (response) => {
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      text += chunk;
    });
    response.on("error", () => {});
  });
  await until("the welcome", () => text !== "");
  return () => text;
}

/** Resolves when the connection has received its welcome. */
async function openWebSocket(query: string, subprotocols: string[]): Promise<string[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${query}`, subprotocols);
  const frames: string[] = [];
  socket.on("message", (data) => frames.push(String(data)));
  await until("the welcome", () => frames.length > 0);
  return frames;
}

async function describeConnection(connectionId: number): Promise<unknown> {
  const [described] = await describeWorkers(bus);
  return askWorker(bus, described?.id ?? "", { command: "find-connection", connectionId });
}

test("a protocol that is only in the list delivers, and appears in the API and in metrics", async () => {
  const text = await openLines("?topic=a");
  const bracketedFrames = await openWebSocket("?topic=a", ["brackets.v1"]);
  const rawFrames = await openWebSocket("?topic=a", []);
  const secondText = await openLines("?topic=a");

  await publishToTopic(bus, "a", "live", [["Event", "paid"]]);
  await until("the live publication", () => text().includes("live") && bracketedFrames.includes("[live]"));
  await history.append(topic("a"), "durable");

  await until("the durable publication", () =>
    [text(), secondText(), bracketedFrames.join(), rawFrames.join()].every((all) => all.includes("durable")),
  );
  const expected = "welcome\t\npaid\tlive\nmessage\tdurable\n";
  expect([text(), secondText()]).toEqual([expected, expected]);
  expect(bracketedFrames).toEqual(["[]", "[live]", "[durable]"]);
  expect(rawFrames.slice(1)).toEqual(["live", "durable"]);
  expect(await describeConnection(1)).toMatchObject({ connection: { protocol: "lines", topics: ["a"] } });
  expect(await describeConnection(2)).toMatchObject({ connection: { protocol: "brackets", topics: ["a"] } });
  expect(await describeConnection(3)).toMatchObject({ connection: { protocol: "raw", topics: ["a"] } });
  const metrics = await worker.metrics.metrics();
  expect(metrics).toMatch(/^fanwire_pusher_connections\{[^}]*\} 4$/m);
  expect(metrics).toMatch(/^fanwire_pusher_deliveries_total\{[^}]*\} 8$/m);
});
