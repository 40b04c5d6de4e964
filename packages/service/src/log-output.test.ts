import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { LogOutput } from "./log-output.ts";

test("unread lines beyond a mebibyte are dropped, until the reader continues", () => {
  let taken = "";
  let read = () => {};
  const stream = new Writable({
    decodeStrings: false,
    write(line, _encoding, done) {
      taken += line;
      read = done;
    },
  });
  const output = new LogOutput(stream);
  const line = `${"x".repeat(63)}\n`;

  for (let lines = 0; lines < 20_000; lines++) output.write(line);
  expect(stream.writableLength).toBeGreaterThanOrEqual(1_048_576);
  expect(stream.writableLength).toBeLessThan(1_048_576 + line.length);

  expect(output.droppedLines).toBe(20_000 - Math.ceil(1_048_576 / line.length));

  while (stream.writableLength > 0) read();
  output.write("again\n");
  expect(taken.endsWith(`${line}again\n`)).toBe(true);
});

test("a stream error does not end the process", async () => {
  const stream = new Writable({ write: (_line, _encoding, done) => done(new Error("EPIPE")) });
  // A listener for the error itself would handle it.
  const closed = new Promise((resolve) => stream.once("close", resolve));

  new LogOutput(stream).write("a line\n");

  await closed;
});
