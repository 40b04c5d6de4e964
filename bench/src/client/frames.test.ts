import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader } from "./frames.ts";

/** Encodes a frame of a server: FIN, text, unmasked. */
function encodeFrame(payload: Uint8Array): Buffer {
  const { length } = payload;
  const header =
    length < 126
      ? Buffer.from([0x81, length])
      : length < 65_536
        ? Buffer.from([0x81, 126, length >> 8, length & 0xff])
        : Buffer.from([0x81, 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 0xff, length & 0xff]);
  return Buffer.concat([header, payload]);
}

function readInPieces(stream: Buffer, cuts: readonly number[]): string[] {
  const payloads: string[] = [];
  const reader = new FrameReader((_opcode, bytes, start, end) => {
    payloads.push(Buffer.from(bytes.subarray(start, end)).toString("hex"));
  });
  const edges = [0, ...cuts.map((cut) => cut % (stream.length + 1)).toSorted((a, b) => a - b), stream.length];
  for (let index = 1; index < edges.length; index++) reader.read(stream, edges[index - 1] ?? 0, edges[index] ?? 0);
  return payloads;
}

test("frames of every length are read, however the reads are cut", () => {
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536, 70_000).map((length) => new Uint8Array(length).fill(length)),
  );
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 30 }), (payloads, cuts) => {
      const stream = Buffer.concat(payloads.map(encodeFrame));

      const read = readInPieces(stream, cuts);

      expect(read).toEqual(payloads.map((bytes) => Buffer.from(bytes).toString("hex")));
    }),
  );
});

test("frames are read when every read is one byte", () => {
  const payloads = [0, 5, 126, 200, 66_000].map((length) => new Uint8Array(length).fill(7));
  const stream = Buffer.concat(payloads.map(encodeFrame));

  const read = readInPieces(stream, Array.from(stream.keys()));

  expect(read.map((hex) => hex.length / 2)).toEqual([0, 5, 126, 200, 66_000]);
});

test.each([
  ["masked", [0x81, 0x85, 0, 0, 0, 0]],
  ["fragmented", [0x01, 5]],
  ["compressed", [0xc1, 5]],
  ["longer than anything sensible", [0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]],
])("a frame that is %s is refused", (_what, bytes) => {
  const reader = new FrameReader(() => {});

  expect(() => reader.read(Uint8Array.from(bytes), 0, bytes.length)).toThrow();
});
