import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeFrames, FrameDecoder, maxFrameBytes } from "./frames.ts";

function frame(payload: string | Uint8Array): Buffer {
  return encodeFrames([Buffer.from(payload)]);
}

function header(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

/** Cuts a stream at arbitrary places, as TCP does. */
function cut(stream: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let offset = 0;
  for (let chunk = 0; offset < stream.length; chunk++) {
    const size = sizes[chunk % sizes.length] ?? 1;
    chunks.push(Buffer.from(stream.subarray(offset, offset + size)));
    offset += size;
  }
  return chunks;
}

describe("the frame decoder", () => {
  it("refuses a frame beyond a lower limit as soon as its length is known", () => {
    const decoder = new FrameDecoder(100);

    expect(decoder.push(frame("x".repeat(96))).messages.length).toBe(1);
    expect(decoder.push(header(101)).error).toBe("frame-too-long");
  });

  it("knows the declared length of an incomplete frame, until the frame is complete or forgotten", () => {
    const decoder = new FrameDecoder();
    const declaredAfter = (chunk: Buffer) => {
      decoder.push(chunk);
      return decoder.declaredBytes;
    };
    const bytes = frame("x".repeat(96));

    const declared = [bytes.subarray(0, 3), bytes.subarray(3, 4), bytes.subarray(4, 50), bytes.subarray(50)].map(
      declaredAfter,
    );
    expect(declared).toEqual([0, 100, 100, 0]);
    declaredAfter(bytes.subarray(0, 50));
    decoder.forget();
    expect([decoder.heldBytes, decoder.declaredBytes]).toEqual([0, 0]);
  });

  it("returns every payload in order for any chunks of the stream", () => {
    const payloads = fc.array(fc.uint8Array({ minLength: 2, maxLength: 300 }), { maxLength: 20 });
    const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 10 });

    fc.assert(
      fc.property(payloads, sizes, (payloads, sizes) => {
        const decoder = new FrameDecoder();

        const messages = cut(Buffer.concat(payloads.map(frame)), sizes).flatMap(
          (chunk) => decoder.push(chunk).messages,
        );

        expect(messages.map((message) => message.toString("hex"))).toEqual(
          payloads.map((payload) => Buffer.from(payload).toString("hex")),
        );
        expect(decoder.heldBytes).toBe(0);
      }),
    );
  });

  it("never changes a payload it has already reported", () => {
    const decoder = new FrameDecoder();
    const stream = Buffer.concat([frame("the first"), frame("the second"), frame("the third")]);

    const messages = cut(stream, [7]).flatMap((chunk) => decoder.push(chunk).messages);

    expect(messages.map(String)).toEqual(["the first", "the second", "the third"]);
  });

  it("does not copy a frame that is complete in its chunk", () => {
    const chunk = Buffer.concat([frame("one"), frame("two")]);

    const { messages } = new FrameDecoder().push(chunk);

    expect(messages.map((message) => message.buffer === chunk.buffer)).toEqual([true, true]);
    expect(messages.map((message) => message.byteOffset - chunk.byteOffset)).toEqual([4, 11]);
  });

  it.each([
    ["whole", 100],
    ["in pieces", 1],
  ])("counts an empty payload and the payload 0 as pings, and no other payload, %s", (_, size) => {
    const stream = Buffer.concat(["", "0", "1", "00", ""].map(frame));
    const decoder = new FrameDecoder();
    const decoded = cut(stream, [size]).map((chunk) => decoder.push(chunk));

    expect(decoded.reduce((sum, { pings }) => sum + pings, 0)).toBe(3);
    expect(decoded.flatMap(({ messages }) => messages.map(String))).toEqual(["1", "00"]);
  });

  it.each([0, 1, 2, 3])("refuses a declared length of %i", (length) => {
    const whole = new FrameDecoder().push(header(length));
    const decoder = new FrameDecoder();
    const pieces = cut(header(length), [1]).map((chunk) => decoder.push(chunk).error);

    expect(whole.error).toBe("frame-too-short");
    expect(pieces).toEqual([null, null, null, "frame-too-short"]);
  });

  it("refuses a length over the limit, such as that of an HTTP request", () => {
    expect(new FrameDecoder().push(header(maxFrameBytes + 1)).error).toBe("frame-too-long");
    expect(new FrameDecoder().push(header(0xffffffff)).error).toBe("frame-too-long");
    expect(new FrameDecoder().push(Buffer.from("GET / HTTP/1.1\r\n\r\n")).error).toBe("frame-too-long");
  });

  it("accepts a frame of exactly the limit", () => {
    const decoder = new FrameDecoder();
    decoder.push(header(maxFrameBytes));
    const half = Buffer.alloc(maxFrameBytes / 2, 0x78);

    const first = decoder.push(half);
    const second = decoder.push(half.subarray(4));

    expect([first.messages.length, first.error]).toEqual([0, null]);
    expect([second.messages.length, second.messages[0]?.length]).toEqual([1, maxFrameBytes - 4]);
  });

  it("reports the frames before an error, and nothing after it", () => {
    const decoder = new FrameDecoder();

    const before = decoder.push(Buffer.concat([frame("last words"), header(2), frame("swallowed")]));
    const after = decoder.push(frame("swallowed too"));

    expect([before.messages.map(String), before.error]).toEqual([["last words"], "frame-too-short"]);
    expect([after.messages, after.error, decoder.heldBytes]).toEqual([[], "frame-too-short", 0]);
  });

  it("does not allocate the declared length before bytes arrive", () => {
    const decoder = new FrameDecoder();

    decoder.push(header(maxFrameBytes));
    const promised = decoder.heldBytes;
    decoder.push(Buffer.alloc(1000));

    expect(promised).toBeLessThanOrEqual(64);
    expect(decoder.heldBytes).toBeLessThanOrEqual(2 * 1004);
  });

  it("never holds more than the declared length of the unfinished frame", () => {
    const decoder = new FrameDecoder();
    const stream = frame(Buffer.alloc(5000));

    const held = cut(stream, [1]).map((chunk) => {
      decoder.push(chunk);
      return decoder.heldBytes;
    });

    expect(Math.max(...held)).toBe(5004);
  });

  it("takes linear time for a megabyte that arrives byte by byte", () => {
    const decoder = new FrameDecoder();
    const stream = frame(Buffer.alloc(1_000_000, 0x78));
    const byte = Buffer.from("x");
    decoder.push(stream.subarray(0, 4));
    const before = process.cpuUsage();

    let messages = 0;
    for (let sent = 4; sent < stream.length; sent++) messages += decoder.push(byte).messages.length;

    // Concatenating at every byte would copy 500 GB here.
    expect(messages).toBe(1);
    expect(process.cpuUsage(before).user).toBeLessThan(5_000_000);
  });
});

describe("encoding frames", () => {
  it("writes each payload after its length, which counts itself", () => {
    expect(encodeFrames([Buffer.from("abc"), Buffer.alloc(0), Buffer.from("d")]).toString("latin1")).toBe(
      "\0\0\0\x07abc\0\0\0\x04\0\0\0\x05d",
    );
  });

  it("allocates only its own memory", () => {
    expect(encodeFrames([Buffer.from("abc")]).buffer.byteLength).toBe(7);
  });
});

it("never buffers more than its limit and never reports more bytes than it received", () => {
  const length = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(0x7fffffff, 0xffffffff)).map(header);
  const chunk = fc.oneof(fc.uint8Array({ maxLength: 40 }).map(Buffer.from), length);

  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 12 }), (chunks) => {
      const decoder = new FrameDecoder(200);
      let [sent, reported] = [0, 0];
      for (const bytes of chunks) {
        sent += bytes.length;
        const { messages, error } = decoder.push(bytes);
        for (const message of messages) reported += message.length + 4;
        expect(decoder.heldBytes).toBeLessThanOrEqual(200);
        if (error !== null) break;
      }
      expect(reported).toBeLessThanOrEqual(sent);
    }),
    { numRuns: 10_000 },
  );
});
