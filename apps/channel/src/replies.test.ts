import { describe, expect, it } from "vitest";
import { maxFrameBytes } from "./frames.ts";
import { encodeEvent, encodeQueueItem } from "./replies.ts";

const name = Buffer.from('s:1:"c";');
const data = Buffer.from("i:42;");

describe("replies", () => {
  it("are written as the original writes them", () => {
    const event = 'a:3:{s:4:"type";s:5:"event";s:7:"channel";s:1:"c";s:4:"data";i:42;}';
    const queueItem = 'a:3:{s:4:"type";s:5:"queue";s:7:"channel";s:1:"c";s:4:"data";i:42;}';

    expect(encodeEvent(name, data)?.toString()).toBe(`\0\0\0${String.fromCharCode(4 + event.length)}${event}`);
    expect(encodeQueueItem(name, data)?.toString()).toBe(`\0\0\0${String.fromCharCode(4 + event.length)}${queueItem}`);
  });

  it("do not exist beyond the largest frame", () => {
    expect(encodeEvent(name, Buffer.alloc(maxFrameBytes))).toBeUndefined();
    expect(encodeQueueItem(Buffer.alloc(maxFrameBytes), data)).toBeUndefined();
  });
});
