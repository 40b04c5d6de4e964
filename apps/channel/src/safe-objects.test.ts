import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { isWholeValue, maxContainers, Scanner } from "./php-serialize.ts";

const hasPhp = spawnSync("php", ["-v"]).status === 0;
const accepts = (text: string) => isWholeValue(Buffer.from(text, "latin1"));

const dateTime = 'O:8:"DateTime":3:{s:4:"date";s:26:"2020-01-02 03:04:05.678000";';
const zone = (type: number, name: string) =>
  `s:13:"timezone_type";i:${type};s:8:"timezone";s:${name.length}:"${name}";`;

const safe = [
  'O:8:"stdClass":1:{i:5;N;}',
  'O:4:"User":2:{s:7:"\0*\0role";i:1;s:8:"\0User\0id";i:2;}',
  'O:8:"App\\User":0:{}',
  `${dateTime}${zone(3, "Europe/Paris")}}`,
  `${dateTime}${zone(1, "+05:30")}}`,
  `${dateTime}${zone(2, "EST")}}`,
  `O:12:"DateTimeZone":2:{${zone(3, "UTC")}}`,
  'O:11:"ArrayObject":4:{i:0;i:0;i:1;a:1:{i:0;O:1:"A":0:{}}i:2;a:0:{}i:3;N;}',
  'O:8:"SplStack":3:{i:0;i:6;i:1;a:1:{i:0;i:1;}i:2;a:0:{}}',
  "i:9223372036854775807;",
  "i:-9223372036854775808;",
  "i:0000000000000000000000000000001;",
  "a:2:{i:1;i:1;i:1;i:2;}",
];

const unsafe = [
  'E:11:"Suit:Hearts";',
  'a:1:{i:0;E:11:"Suit:Hearts";}',
  'C:7:"App\\Old":0:{}',
  'C:11:"ArrayObject":3:{abc}',
  'C:16:"SplObjectStorage":3:{abc}',
  'O:3:"PDO":0:{}',
  'O:6:"Socket":0:{}',
  'O:11:"HashContext":0:{}',
  'O:11:"Traversable":0:{}',
  'O:8:"UnitEnum":0:{}',
  'O:9:"Exception":1:{s:4:"line";s:1:"x";}',
  'O:9:"FFI\\CData":0:{}',
  'O:8:"DateTime":1:{s:1:"x";i:1;}',
  `${dateTime}${zone(3, "Not/AZone")}}`,
  `${dateTime}s:13:"timezone_type";i:3;s:8:"timezone";s:9:"UTC";xxxx";}`,
  `${dateTime.replace("-01-", "-13-")}${zone(3, "UTC")}}`,
  `O:12:"DateTimeZone":2:{${zone(4, "UTC")}}`,
  'O:11:"ArrayObject":4:{i:0;i:0;i:1;i:5;i:2;a:0:{}i:3;N;}',
  'O:11:"ArrayObject":4:{i:0;i:0;i:1;a:0:{}i:2;a:0:{}i:3;s:6:"Nobody";}',
  'O:8:"SplStack":3:{i:0;s:1:"6";i:1;a:0:{}i:2;a:0:{}}',
  'O:3:"Foo":1:{s:1:"\0";i:1;}',
  'O:3:"Foo":1:{s:3:"\0ab";i:1;}',
  'O:3:"Foo":1:{s:3:"\0\0a";i:1;}',
  'O:3:"Foo":1:{S:3:"\\00ab";i:1;}',
  "i:9223372036854775808;",
  "a:1:{i:-9223372036854775809;N;}",
  'a:2:{i:0;O:3:"Foo":0:{}i:0;r:2;}',
  'O:8:"stdClass":2:{s:1:"a";i:5;s:1:"a";R:2;}',
  'a:3:{i:5;O:3:"Foo":0:{}s:1:"5";N;i:6;r:2;}',
];

describe("values that may end a PHP process", () => {
  it.each(unsafe)("%j is not passed on", (text) => {
    const scanner = new Scanner(Buffer.from(text, "latin1"));

    expect([scanner.skipValue(), accepts(text)]).toEqual([true, false]);
  });

  it.each(safe)("%j is passed on", (text) => {
    expect(accepts(text)).toBe(true);
  });

  it("are not too many arrays either, of which each costs a receiver much memory", () => {
    const arrays = (count: number) => Buffer.from(`a:${count}:{${"i:0;a:1:{i:0;N;}".repeat(count)}}`);

    expect([isWholeValue(arrays(maxContainers - 1)), isWholeValue(arrays(maxContainers))]).toEqual([true, false]);
  });
});

describe.skipIf(!hasPhp)("compared with PHP itself", () => {
  /** For each value, why PHP cannot read it; "": it can. */
  function failuresOf(values: readonly string[]): string[] {
    const script = `
      set_error_handler(function ($code, $text) { throw new ErrorException($text); });
      while (($line = fgets(STDIN)) !== false) {
        $failure = '';
        try { if (unserialize(hex2bin(trim($line))) === false) $failure = 'false'; }
        catch (Throwable $error) { $failure = $error->getMessage(); }
        echo str_replace("\\n", ' ', $failure), "\\n";
      }`;
    const input = values.map((value) => `${Buffer.from(value, "latin1").toString("hex")}\n`).join("");
    const { stdout, status } = spawnSync("php", ["-r", script], { input, encoding: "latin1", maxBuffer: 2 ** 26 });
    expect(status).toBe(0);
    return stdout.split("\n").slice(0, -1);
  }

  function phpClasses(): string[] {
    const script = `
      foreach ([...get_declared_classes(), ...get_declared_interfaces(), ...get_declared_traits()] as $class) {
        if ((new ReflectionClass($class))->isInternal()) echo $class, "\\n";
      }`;
    return spawnSync("php", ["-r", script], { encoding: "latin1" }).stdout.trimEnd().split("\n");
  }

  it("whatever is passed on PHP reads, without a warning", () => {
    expect(failuresOf(safe)).toEqual(safe.map(() => ""));
  });

  it("of all classes of this PHP, with many kinds of entries, none is passed on that PHP does not read", () => {
    const bodies = [
      "0:{}",
      '1:{s:1:"x";i:1;}',
      '1:{s:4:"date";N;}',
      '1:{s:4:"line";s:1:"x";}',
      "2:{i:0;a:1:{i:0;i:1;}i:1;a:0:{}}",
      "3:{i:0;i:0;i:1;a:0:{}i:2;a:0:{}}",
      "4:{i:0;i:0;i:1;a:0:{}i:2;a:0:{}i:3;N;}",
      "4:{i:0;i:16777216;i:1;a:0:{}i:2;a:0:{}i:3;N;}",
      `3:{${dateTime.slice(20)}${zone(3, "UTC")}}`,
      `2:{${zone(3, "UTC")}}`,
    ];
    const values = phpClasses().flatMap((name) => [
      ...bodies.map((body) => `O:${name.length}:"${name}":${body}`),
      `C:${name.length}:"${name}":0:{}`,
      `E:${name.length + 2}:"${name}:A";`,
    ]);

    const passed = values.filter(accepts);
    const failures = failuresOf(passed);

    expect(values.length).toBeGreaterThan(1_500);
    expect(passed.length).toBeGreaterThan(10);
    expect(passed.filter((_, at) => failures[at] !== "")).toEqual([]);
  });
});
