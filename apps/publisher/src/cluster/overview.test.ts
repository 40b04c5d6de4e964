import { expect, test } from "vitest";
import { natsNodes } from "./overview.ts";

const node = (name: string) => ({ name, version: "2.10.29", cluster: "c" });

test("each NATS node is listed once, with the number of processes that are connected to it", () => {
  const processes = [{ nats: node("b") }, { nats: node("a") }, {}, { nats: node("b") }];

  expect(natsNodes(processes, null)).toEqual([
    { ...node("a"), connectedFrom: 1 },
    { ...node("b"), connectedFrom: 2 },
  ]);
});

test("nodes that keep the history are listed although no process is connected to them", () => {
  const replicas = ["b", "d"].map((name) => ({ name, isCurrent: true, lag: 0 }));

  expect(natsNodes([{ nats: node("b") }], { leader: "c", replicas })).toEqual([
    { ...node("b"), connectedFrom: 1 },
    { name: "c", connectedFrom: 0 },
    { name: "d", connectedFrom: 0 },
  ]);
});
