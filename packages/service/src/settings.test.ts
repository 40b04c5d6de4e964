import fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError, describeSettings, readSettings, setting } from "./settings.ts";

const shape = {
  PORT: setting.port(80).describe("The port."),
  NAMES: setting.list("a, b").describe("Names."),
  SECRET: setting.optionalText().describe("A secret."),
  MODE: setting.oneOf(["fast", "safe"], "safe").describe("The mode."),
};

test("defaults are parsed like values of users", () => {
  expect(readSettings(shape, {})).toEqual({ PORT: 80, NAMES: ["a", "b"], MODE: "safe" });
  expect(readSettings(shape, { PORT: "0", NAMES: " x ,, y", MODE: "fast", SECRET: "s" })).toEqual({
    PORT: 0,
    NAMES: ["x", "y"],
    MODE: "fast",
    SECRET: "s",
  });
});

test("a number is written with digits only", () => {
  for (const PORT of ["1e3", "0x10", " 80", "80.0", "٣", "-1", "65536", "99999999999999999999"]) {
    expect(() => readSettings(shape, { PORT }), PORT).toThrow(ConfigError);
  }
});

test("a port variable that Kubernetes sets for a service of the same name counts as absent", () => {
  expect(readSettings({ PUSHER_PORT: setting.port(4236) }, { PUSHER_PORT: "tcp://10.0.0.1:80" })).toEqual({
    PUSHER_PORT: 4236,
  });
  expect(() => readSettings({ PUSHER_PORT: setting.port(4236) }, { PUSHER_PORT: "http://a" })).toThrow(ConfigError);
});

test("an empty host counts as absent instead of meaning every interface", () => {
  expect(readSettings({ HOST: setting.host("127.0.0.1") }, { HOST: "" })).toEqual({ HOST: "127.0.0.1" });
});

test("a list without entries is refused unless it is empty", () => {
  for (const NAMES of [",", " ", " , ,"]) expect(() => readSettings(shape, { NAMES }), NAMES).toThrow("an entry");
  expect(readSettings(shape, { NAMES: "" }).NAMES).toEqual([]);
});

test("one error names all wrong variables, without their values", () => {
  const read = () => readSettings(shape, { PORT: "hunter2", MODE: "loud" });

  expect(read).toThrow(/PORT.*\n.*MODE: must be one of fast, safe/);
  expect(read).not.toThrow(/hunter2/);
});

test("variables without a default are required, unless the text may be empty", () => {
  const required = { NAME: setting.text(), COUNT: setting.integer({ min: -5, max: 5 }), TITLE: setting.text("none") };

  expect(readSettings(required, { NAME: "a", COUNT: "-5" })).toEqual({ NAME: "a", COUNT: -5, TITLE: "none" });
  expect(readSettings(required, { NAME: "", COUNT: "5", TITLE: "" })).toEqual({ NAME: "", COUNT: 5, TITLE: "" });
  expect(() => readSettings(required, { COUNT: "" })).toThrow("\n  NAME: is required\n  COUNT: is required");
});

test("one error names what to write instead of each wrong origin", () => {
  const origins = { ORIGINS: setting.origins("https://app.example") };

  expect(readSettings(origins, {})).toEqual({ ORIGINS: ["https://app.example"] });
  expect(() => readSettings(origins, { ORIGINS: "a.example, https://b.example, c.example" })).toThrow(
    /ORIGINS: write https:\/\/a\.example: [^;]+; write https:\/\/c\.example: [^;]+$/,
  );
});

test("every setting is described for --help and the README", () => {
  expect(describeSettings(shape)).toContainEqual({ name: "PORT", default: "80", description: "The port." });
  expect(describeSettings(shape)).toContainEqual({ name: "SECRET", default: "", description: "A secret." });
  expect(describeSettings({ NAME: setting.optionalText() })).toEqual([{ name: "NAME", default: "", description: "" }]);
});

test("any environment is parsed by its schema, or refused with the names of the wrong variables", () => {
  const text = fc.oneof(
    fc.constantFrom("", " ", "80", "-1", "1e3", "fast", "a,,b", "\ud800", "__proto__"),
    fc.string({ unit: "binary" }),
  );
  const env = fc.dictionary(fc.constantFrom("PORT", "NAMES", "SECRET", "MODE", "OTHER", "__proto__"), text);

  fc.assert(
    fc.property(env, (variables) => {
      try {
        const { PORT, NAMES, SECRET, MODE } = readSettings(shape, variables);
        expect(PORT >= 0 && PORT <= 65_535 && ["fast", "safe"].includes(MODE) && SECRET !== "").toBe(true);
        expect(NAMES.every((name) => name !== "" && name.trim() === name)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect(String(error)).toMatch(/^ {2}(PORT|NAMES|MODE): must/m);
      }
    }),
    { numRuns: 10_000 },
  );
});
