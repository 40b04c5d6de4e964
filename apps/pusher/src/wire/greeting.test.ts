import { expect, test } from "vitest";
import { Greeting } from "./greeting.ts";

test("the default greeting is compatible with Workerman", () => {
  const text = new Greeting("workerID:{worker} connectionID:{connection} подключено\n", "abcd1234").for(7);

  expect(Buffer.from(text).toString("hex")).toBe(
    "776f726b657249443a616263643132333420636f6e6e656374696f6e49443a3720d0bfd0bed0b4d0bad0bbd18ed187d0b5d0bdd0be0a",
  );
});

test("every placeholder is replaced", () => {
  const greeting = new Greeting("{connection}{worker}{connection}", "w");

  expect([greeting.for(1), greeting.for(23)]).toEqual(["1w1", "23w23"]);
});

test("a greeting without placeholders stays as it is", () => {
  expect(new Greeting("$& hello {worker", "w").for(1)).toBe("$& hello {worker");
  expect(new Greeting("", "w").for(1)).toBe("");
});
