import { expect, test } from "vitest";
import { greeting } from "./greeting.ts";

test("the greeting is the seed's, byte for byte", () => {
  const text = greeting("workerID:{worker} connectionID:{connection} подключено\n", "abcd1234", 7);

  expect(Buffer.from(text).toString("hex")).toBe(
    "776f726b657249443a616263643132333420636f6e6e656374696f6e49443a3720d0bfd0bed0b4d0bad0bbd18ed187d0b5d0bdd0be0a",
  );
});

test("a greeting without placeholders stays as it is", () => {
  expect(greeting("$& hello {worker", "w", 1)).toBe("$& hello {worker");
});
