import { setImmediate as endOfTick } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Connection } from "../connections/connection.ts";
import { fanwireV1 } from "../protocols/fanwire-v1.ts";
import type { Publication } from "../wire/publication.ts";
import { DirectWrites, writeBatched } from "./direct-writes.ts";
import { FrameBatcher } from "./frame-batcher.ts";
import { ProtocolWriter } from "./protocol-writer.ts";
import type { SlowConsumerBuffer } from "./slow-consumers.ts";
import type { SubscriberGroups } from "./subscriber-groups.ts";

const JOINING = { separator: "\n", maxBytes: 32_768 };
const A = 1;
const MEMBERS = 3;

const publication = (data: string) => ({ text: { data } }) as Publication;

/** A writer, and what it wrote to groups, to connections by their names, and to a group except one connection. */
function recordWriter({ hasSlowConsumers = false } = {}) {
  const written: [to: string | number, frame: string][] = [];
  const frames = {
    write: (groupId: number, all: readonly Uint8Array[]) =>
      written.push(...all.map((frame): [number, string] => [groupId, Buffer.from(frame).toString()])),
  };
  const slowConsumers = {
    catchUp: (connection: Pick<Connection, "send">) => void connection.send("caught up"),
    catchUpAll: () => void written.push(["all", "caught up"]),
    forget: (connection: Pick<Connection, "send">) => void connection.send("forgotten"),
  };
  const groupsOf = new Map<Connection, readonly number[]>();
  const names = new Map<Connection, string>();
  const groups: Pick<SubscriberGroups, "has" | "publish"> = {
    has: (groupId, connection) => groupsOf.get(connection)?.includes(groupId) ?? false,
    publish: (groupId, frame, _isBinary, except) =>
      void written.push([`${groupId} except ${except && names.get(except)}`, frame.toString()]),
  };
  const writer = new ProtocolWriter<string>({
    protocol: fanwireV1,
    // The writer uses nothing else of the groups and of the buffer here.
    groups: groups as SubscriberGroups,
    batcher: new FrameBatcher(frames, JOINING),
    direct: new DirectWrites(writeBatched(JOINING)),
    encode: ({ text }) => (text.data === "uncarried" ? undefined : text.data),
    onUncarried: () => written.push(["skipped", ""]),
    toContent: String,
    ...(hasSlowConsumers && { slowConsumers: slowConsumers as unknown as SlowConsumerBuffer }),
  });
  const connection = (name: string, ...groupIds: number[]) => {
    const send = (frame: string | Uint8Array) => {
      written.push([name, frame.toString()]);
      return 1;
    };
    const created = { send } as unknown as Connection;
    groupsOf.set(created, groupIds);
    names.set(created, name);
    return created;
  };
  return { writer, written, connection };
}

test("publications to groups and to sole subscribers are written in their order", async () => {
  const { writer, written, connection } = recordWriter();
  const [anna, bob] = [connection("anna", A), connection("bob")];

  const receivers = [
    writer.write(publication("1"), A, MEMBERS, undefined),
    writer.write(publication("2"), A, MEMBERS, bob),
  ];
  writer.writeTo(publication("3"), anna);
  writer.writeTo(publication("4"), bob);
  writer.writeTo(publication("5"), anna);
  receivers.push(writer.write(publication("6"), A, MEMBERS, undefined));

  await endOfTick();
  expect(receivers).toEqual([3, 3, 3]);
  expect(written).toEqual([
    [A, "1\n2"],
    ["anna", "3\n5"],
    ["bob", "4"],
    [A, "6"],
  ]);
});

test("an excepted member receives nothing, and the others receive earlier publications first", () => {
  const { writer, written, connection } = recordWriter();
  const anna = connection("anna", A);

  writer.writeTo(publication("1"), anna);
  const receivers = [
    writer.write(publication("2"), A, MEMBERS, anna),
    writer.write(publication("3"), A, MEMBERS, undefined),
  ];
  writer.flush();

  expect(receivers).toEqual([2, 3]);
  expect(written).toEqual([
    ["anna", "1"],
    ["1 except anna", "2"],
    [A, "3"],
  ]);
});

test("pending publications for a connection that closes are dropped", async () => {
  const { writer, written, connection } = recordWriter();
  const [anna, bob] = [connection("anna"), connection("bob")];
  for (const only of [anna, bob]) writer.writeTo(publication("1"), only);

  writer.forget(anna);

  await endOfTick();
  expect(written).toEqual([["bob", "1"]]);
});

test("a slow consumer catches up before it is written to directly, and all do before a group is written to except one", () => {
  const { writer, written, connection } = recordWriter({ hasSlowConsumers: true });
  const anna = connection("anna", A);

  writer.write(publication("1"), A, MEMBERS, undefined);
  writer.writeTo(publication("2"), anna);
  writer.write(publication("3"), A, MEMBERS, anna);
  writer.write(publication("4"), A, MEMBERS, undefined);
  writer.flush();
  writer.flushTo(anna);
  writer.forget(anna);

  expect(written).toEqual([
    [A, "1"],
    ["anna", "caught up"],
    ["anna", "2"],
    ["all", "caught up"],
    ["1 except anna", "3"],
    [A, "4"],
    ["anna", "caught up"],
    ["anna", "forgotten"],
  ]);
});

test("a publication that the protocol cannot carry is skipped, and has no receivers", () => {
  const { writer, written, connection } = recordWriter();
  const anna = connection("anna", A);

  const receivers = [
    writer.write(publication("uncarried"), A, MEMBERS, undefined),
    writer.write(publication("uncarried"), A, MEMBERS, anna),
    writer.writeTo(publication("uncarried"), anna),
    writer.send(publication("uncarried"), anna),
  ];
  writer.flush();

  expect(receivers).toEqual([0, 0, 0, undefined]);
  expect(written).toEqual(Array.from({ length: 4 }, () => ["skipped", ""]));
});
