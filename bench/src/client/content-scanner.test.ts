import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeSequence, encodeContent } from "../content.ts";
import { ContentScanner } from "./content-scanner.ts";

test("contents are found between any other bytes, however the reads are cut", () => {
  const around = fc.constantFrom("", "\n", '"}\n{"type":"publication","data":"', "MSG fanwire.live.all 1 100\r\n");
  fc.assert(
    fc.property(fc.array(around, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 30 }), (gaps, cuts) => {
      const stream = Buffer.concat(gaps.flatMap((gap, sequence) => [Buffer.from(gap), encodeContent(sequence, 1_000)]));
      const sequences: number[] = [];
      const scanner = new ContentScanner((bytes, start) => sequences.push(decodeSequence(bytes, start)));
      const edges = [0, ...cuts.map((cut) => cut % (stream.length + 1)).toSorted((a, b) => a - b), stream.length];

      let found = 0;
      for (let index = 1; index < edges.length; index++) {
        found += scanner.read(stream, edges[index - 1] ?? 0, edges[index] ?? 0);
      }

      expect(sequences).toEqual(gaps.map((_, sequence) => sequence));
      expect(found).toBe(gaps.length);
    }),
  );
});
