import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { finishSteps } from "../data/steps.ts";
import { allowClasses } from "../php/classes.ts";
import { maxFrameBytes } from "./frames.ts";
import { encodeEvent, encodeQueueItem, readEvent, readQueueItem } from "./server-message.ts";

const name = Buffer.from('s:1:"c";');
const data = Buffer.from("i:42;");
const event = 'a:3:{s:4:"type";s:5:"event";s:7:"channel";s:1:"c";s:4:"data";i:42;}';
const queueItem = 'a:3:{s:4:"type";s:5:"queue";s:7:"channel";s:1:"c";s:4:"data";i:42;}';

describe("replies", () => {
  it("are written as the original writes them", () => {
    expect(encodeEvent(name, data)?.toString()).toBe(event);
    expect(encodeQueueItem(name, data)?.toString()).toBe(queueItem);
  });

  it("are undefined above the largest frame", () => {
    expect(encodeEvent(name, Buffer.alloc(maxFrameBytes))).toBeUndefined();
    expect(encodeQueueItem(Buffer.alloc(maxFrameBytes), data)).toBeUndefined();
    const exactly = maxFrameBytes - 4 - event.length + data.length;
    expect(encodeEvent(name, Buffer.alloc(exactly))?.length).toBe(maxFrameBytes - 4);
    expect(encodeEvent(name, Buffer.alloc(exactly + 1))).toBeUndefined();
  });

  it("are read back with the key of the name and the same bytes of data", () => {
    const forms = [
      ['s:1:"5";', "5"],
      ["i:5;", "5"],
      ["d:5.9;", "5"],
      ["b:1;", "1"],
      ["N;", ""],
      ['s:2:"\xff\0";', "\xff\0"],
    ] as const;
    for (const [form, key] of forms) {
      for (const value of ["N;", 'a:1:{s:1:"x";O:1:"A":1:{s:1:"y";r:5;}}', 's:3:"\xff;}";']) {
        const [raw, bytes] = [Buffer.from(form, "latin1"), Buffer.from(value, "latin1")];
        const expected = { key, data: bytes };
        const classes = allowClasses(["A"]);
        expect(finishSteps(readEvent(encodeEvent(raw, bytes) ?? raw, classes))).toEqual(expected);
        expect(finishSteps(readQueueItem(encodeQueueItem(raw, bytes) ?? raw, classes))).toEqual(expected);
      }
    }
  });

  it("are not read from payloads that no channel server could have encoded", () => {
    const others = [
      "",
      "x",
      queueItem,
      event.slice(0, -1),
      `${event} `,
      event.replace("a:3", "a:2"),
      event.replace("a:3", "a:4"),
      event.replace('s:1:"c"', 's:2:"c"'),
      event.replace('s:1:"c";', "a:0:{}"),
      event.replace('s:1:"c";', "R:2;"),
      event.replace("data", "date"),
      event.replace("i:42;", "R:2;"),
      event.replace("i:42;", "r:1;"),
      event.replace("i:42;", "i:42;i:43;"),
      event.replace("i:42;", 'O:7:"Closure":0:{}'),
      event.replace("i:42;", `s:${maxFrameBytes}:"${"x".repeat(maxFrameBytes)}";`),
    ];
    for (const other of others)
      expect(finishSteps(readEvent(Buffer.from(other, "latin1"))), other.slice(0, 100)).toBeUndefined();
    expect(finishSteps(readQueueItem(Buffer.from(event)))).toBeUndefined();
  });

  it("name the refused class of a queue item that is well-formed otherwise", () => {
    const read = (item: string) => finishSteps(readQueueItem(Buffer.from(item)));
    const object = 'O:7:"Closure":0:{}';

    expect(read(queueItem.replace("i:42;", object))).toMatchObject({ key: "c", refusedClass: "Closure" });
    expect(read(queueItem)).toMatchObject({ key: "c", refusedClass: undefined });
    expect(read(queueItem.replace("i:42;", `a:2:{i:0;${object}i:1;E:3:"A:B";}`))).toBeUndefined();
  });

  it("are refused when they are garbage", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (garbage) => {
        const forged = Buffer.concat([Buffer.from(event.slice(0, 42)), garbage]);
        const read = finishSteps(readEvent(forged));
        if (read !== undefined)
          expect(encodeEvent(forged.subarray(42, forged.indexOf('s:4:"data";')), read.data)).toEqual(forged);
      }),
      { numRuns: 10_000 },
    );
  });
});
