import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseQuery as parse } from "./php-query.ts";

const parseQuery = (url: string) => parse(url).parameters;

const hex = (byte: number) => byte.toString(16).padStart(2, "0");
const isPlain = (byte: number) => /[A-Za-z0-9_.~-]/.test(String.fromCharCode(byte)) || byte >= 0x80;

/** One of the ways to write a byte: raw where allowed, escaped in either case, or `+` for a space. */
const writtenByte = fc.tuple(fc.nat(255), fc.nat(3)).map(([byte, way]): [number, string] => {
  if (way === 0 && isPlain(byte)) return [byte, String.fromCharCode(byte)];
  if (way === 1 && byte === 0x20) return [byte, "+"];
  return [byte, `%${way === 2 ? hex(byte).toUpperCase() : hex(byte)}`];
});
const writtenBytes = fc
  .array(writtenByte, { maxLength: 30 })
  .map((parts) => ({ bytes: Buffer.from(parts.map(([byte]) => byte)), text: parts.map(([, text]) => text).join("") }));

test("any bytes, valid UTF-8 or not, are decoded unchanged from any way to write them", () => {
  fc.assert(
    fc.property(writtenBytes, ({ bytes, text }) => {
      expect(parseQuery(`/?a=1&content=${text}&b=2`).get("content")).toEqual(bytes);
    }),
    { numRuns: 10_000 },
  );
});

test("names are decoded too", () => {
  fc.assert(
    fc.property(writtenBytes, ({ bytes, text }) => {
      const name = bytes.toString("latin1");
      fc.pre(text !== "" && !/[ .[\0]/.test(name));
      expect(parseQuery(`/?${text}=x`)).toEqual(new Map([[name, Buffer.from("x")]]));
    }),
    { numRuns: 10_000 },
  );
});

test("a name that PHP reads as an id is that id", () => {
  for (const name of [
    "to_worker_id",
    "to.worker.id",
    "to+worker_id",
    "%20to_worker_id",
    "to_worker_id[]",
    "to_worker_id%5Ba%5D",
    "to_worker_id%00",
    "to_worker_id%00[x",
    "to[worker_id",
    "to%5Bworker.id",
  ]) {
    expect(parseQuery(`/?${name}=x`).get("to_worker_id")?.toString(), name).toBe("x");
  }
});

test("the last value of a repeated parameter is used", () => {
  expect(parseQuery("/?a=1&b=2&%61=3").get("a")?.toString()).toBe("3");
  expect(parseQuery("/?a=1&a").get("a")?.toString()).toBe("");
});

test("malformed escapes stay unchanged", () => {
  for (const text of ["%", "%%", "%4", "%zz", "%4g", "%-1", "100%", "%u0041"]) {
    expect(parseQuery(`/?a=${text}`).get("a")?.toString()).toBe(text);
  }
  expect(parseQuery("/?a=%%41").get("a")?.toString()).toBe("%A");
});

test("only the query is read, and a parameter without name is ignored", () => {
  expect(parseQuery("/").size).toBe(0);
  expect(parseQuery("/?").size).toBe(0);
  expect(parseQuery("/?&&=x&").size).toBe(0);
  expect(parseQuery("/a=b?c=d?e=f").get("c")?.toString()).toBe("d?e=f");
  expect(parseQuery("http://host/?a=b=c").get("a")?.toString()).toBe("b=c");
});

test("ASCII is read as URLSearchParams reads it", () => {
  const ascii = fc.string({ unit: fc.constantFrom("x", "%", "2", "5", "+", "&", "="), maxLength: 40 });
  fc.assert(
    fc.property(ascii, (query) => {
      fc.pre([...new URLSearchParams(query).keys()].every((name) => !name.includes(" "))); // PHP changes those names
      const web = new Map([...new URLSearchParams(query)].filter(([name]) => name !== ""));
      const ours = [...parseQuery(`/?${query}`)].map(([name, value]): [string, string] => [name, value.toString()]);
      expect(new Map(ours)).toEqual(web);
    }),
    { numRuns: 10_000 },
  );
});

const hasPhp = spawnSync("php", ["-v"]).status === 0;

test.skipIf(!hasPhp)("names and values are the same as those of PHP", () => {
  const piece = fc.constantFrom(..."a to = & [ ] . + % %5B %5d %00 %20 %ff %2e _ %0 1".split(" "));
  const queries = fc
    .sample(fc.array(piece, { maxLength: 14 }), { numRuns: 10_000, seed: 4237 })
    .map((all) => all.join(""));
  const script = `while (($line = fgets(STDIN)) !== false) {
    parse_str(rtrim($line, "\\n"), $read);
    $shown = [];
    foreach ($read as $name => $value) $shown[] = bin2hex($name) . "=" . (is_array($value) ? "?" : bin2hex($value));
    sort($shown);
    echo implode(" ", $shown), "\\n";
  }`;

  const { stdout } = spawnSync("php", ["-n", "-r", script], {
    input: queries.join("\n"),
    encoding: "latin1",
    maxBuffer: 2 ** 26,
  });

  const hexOf = (text: string) => Buffer.from(text, "latin1").toString("hex");
  const lines = stdout.split("\n").slice(0, -1);
  expect(lines).toHaveLength(queries.length);
  for (const [at, line] of lines.entries()) {
    const php = new Map(line.split(" ").flatMap((pair) => (pair === "" ? [] : [pair.split("=") as [string, string]])));
    const { parameters: ours, arrays } = parse(`/?${queries[at]}`);
    expect([...ours.keys()].map(hexOf).sort(), queries[at]).toEqual([...php.keys()].sort());
    for (const [name, value] of ours) {
      const wanted = php.get(hexOf(name));
      expect(arrays.has(name), queries[at]).toBe(wanted === "?");
      if (wanted !== "?") expect(value.toString("hex"), queries[at]).toBe(wanted);
    }
  }
});
