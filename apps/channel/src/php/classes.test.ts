import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { allowClasses, defaultClasses, isClassPattern } from "./classes.ts";
import { isWholeValue } from "./safe-values.ts";
import { maxWeight, Scanner } from "./scanner.ts";

const hasPhp = spawnSync("php", ["-v"]).status === 0;
const latin1 = (text: string) => Buffer.from(text, "latin1");
const accepts = (text: string) => isWholeValue(latin1(text));

const string = (text: string) => `s:${text.length}:"${text}";`;
const dateTime = 'O:8:"DateTime":3:{s:4:"date";s:26:"2020-01-02 03:04:05.678000";';
const zone = (type: number, name: string) => `s:13:"timezone_type";i:${type};s:8:"timezone";${string(name)}`;
const dated = (date: string) => `O:8:"DateTime":3:{s:4:"date";${string(date)}${zone(3, "UTC")}}`;
const arrayObject = 'O:11:"ArrayObject":4:{i:0;i:0;i:1;a:1:{i:0;O:8:"App\\User":0:{}}i:2;a:0:{}i:3;N;}';

const safe = [
  'O:8:"stdClass":0:{}',
  'O:8:"STDCLASS":0:{}',
  'O:8:"stdClass":1:{i:5;N;}',
  'O:8:"stdClass":2:{s:4:"\0*\0a";i:1;s:0:"";i:2;}',
  'a:2:{i:0;O:8:"stdClass":1:{s:1:"a";O:8:"stdclass":0:{}}i:1;r:2;}',
  'O:8:"stdClass":1:{s:4:"self";r:1;}',
  'O:8:"App\\User":2:{s:7:"\0*\0role";i:1;s:12:"\0App\\User\0id";i:2;}',
  'a:2:{i:0;O:8:"App\\User":1:{s:1:"a";O:6:"Shop\\A":0:{}}i:1;r:2;}',
  'O:22:"__PHP_Incomplete_Class":1:{s:27:"__PHP_Incomplete_Class_Name";s:3:"PDO";}',
  `${dateTime}${zone(3, "Europe/Paris")}}`,
  `${dateTime}${zone(1, "+05:30")}}`,
  `${dateTime}${zone(1, "-11:45")}}`,
  `${dateTime}${zone(2, "EST")}}`,
  `${dateTime}${zone(2, "Z")}}`,
  dated("2020-12-19 19:30:00.000000"),
  dated("-0044-11-30 20:00:00.000000"),
  `${dateTime.replace('8:"DateTime"', '17:"DateTimeImmutable"')}${zone(3, "UTC")}}`,
  `O:12:"DateTimeZone":2:{${zone(3, "UTC")}}`,
  arrayObject,
  `O:13:"ArrayIterator":4:{i:0;i:0;i:1;a:1:{i:0;${arrayObject}}i:2;a:0:{}i:3;N;}`,
  'O:8:"SplStack":3:{i:0;i:6;i:1;a:1:{i:0;i:1;}i:2;a:0:{}}',
  'a:2:{i:0;O:8:"SplStack":3:{i:0;i:6;i:1;a:2:{i:0;i:1;i:1;R:5;}i:2;a:0:{}}i:1;R:2;}',
  "i:9223372036854775807;",
  "i:-9223372036854775808;",
  "i:+9223372036854775807;",
  "i:0000000000000000000000000000001;",
  "a:2:{i:1;i:1;i:1;i:2;}",
  'a:1:{s:1:"\0";i:1;}',
  'a:3:{i:0;O:8:"stdClass":0:{}i:1;r:2;s:1:"\0";N;}',
  'a:4:{i:0;O:8:"stdClass":0:{}i:1;r:2;s:2:"02";N;i:2;N;}',
];

const unsafe = [
  'E:11:"Suit:Hearts";',
  'a:1:{i:0;E:11:"Suit:Hearts";}',
  'C:7:"App\\Old":0:{}',
  'C:8:"stdClass":0:{}',
  'C:11:"ArrayObject":3:{abc}',
  'O:8:"DateTime":1:{s:1:"x";i:1;}',
  'O:8:"DateTime":0:{}',
  `${dateTime}${zone(3, "Not/AZone")}}`,
  `${dateTime}${zone(3, "Europe/Nowhere")}}`,
  `${dateTime}s:13:"timezone_type";i:3;s:8:"timezone";s:9:"UTC";xxxx";}`,
  `${dateTime.replace("-01-", "-13-")}${zone(3, "UTC")}}`,
  `${dateTime.replace('s:4:"date"', 's:4:"dat_"')}${zone(3, "UTC")}}`,
  `${dateTime.replace('s:4:"date"', 'S:4:"date"')}${zone(3, "UTC")}}`,
  dated('s:26:"2020-01-02 03:04:05.678000";'),
  `O:12:"DateTimeZone":2:{${zone(4, "UTC")}}`,
  `O:12:"DateTimeZone":2:{s:13:"timezone_type";${string('i:3;s:8:"timezone";s:3:"UTC";')}s:8:"timezone";s:3:"UTC";}`,
  `a:2:{i:0;${dateTime}${zone(3, "UTC")}}i:1;${dateTime}${zone(3, "Not/AZone")}}}`,
  'O:11:"ArrayObject":4:{i:0;i:0;i:1;i:5;i:2;a:0:{}i:3;N;}',
  'O:11:"ArrayObject":4:{i:0;i:0;i:1;a:1:{i:0;O:3:"PDO":0:{}}i:2;a:0:{}i:3;N;}',
  'O:11:"ArrayObject":4:{i:0;s:4:"i:0;";i:1;a:0:{}i:2;a:0:{}i:3;N;}',
  'O:11:"ArrayObject":4:{i:0;i:0;i:1;a:0:{}i:2;s:6:"a:0:{}";i:3;N;}',
  'O:11:"ArrayObject":4:{i:0;i:0;i:1;a:0:{}i:2;a:0:{}i:3;s:6:"Nobody";}',
  'O:11:"ArrayObject":4:{i:0;i:0;i:1;a:0:{}i:2;a:0:{}i:3;s:2:"N;";}',
  'O:8:"SplStack":3:{i:0;s:1:"6";i:1;a:0:{}i:2;a:0:{}}',
  'O:8:"SplStack":3:{i:0;i:6;i:1;s:2:"a:";i:2;a:0:{}}',
  'O:8:"SplStack":3:{i:0;i:6;i:1;a:0:{}i:2;s:6:"a:0:{}";}',
  'O:19:"SplDoublyLinkedList":3:{i:0;i:7;i:1;a:1:{i:0;R:2;}i:2;a:0:{}}',
  'O:13:"ArrayIterator":4:{i:0;i:1;i:1;a:1:{i:0;R:3;}i:2;a:0:{}i:3;N;}',
  `a:2:{i:0;${dateTime}${zone(3, "UTC")}}i:1;R:3;}`,
  `a:2:{i:0;O:12:"DateTimeZone":2:{${zone(3, "UTC")}}i:1;R:4;}`,
  'O:3:"Foo":1:{s:1:"\0";i:1;}',
  'O:8:"stdClass":1:{s:1:"\0";i:1;}',
  'O:8:"stdClass":1:{s:3:"\0ab";i:1;}',
  'O:8:"stdClass":1:{s:3:"\0\0a";i:1;}',
  'O:8:"stdClass":1:{s:3:"\0a\0";i:1;}',
  'O:8:"stdClass":2:{s:3:"\0ab";i:1;s:4:"\0*\0a";i:2;}',
  'O:8:"stdClass":1:{S:3:"\\00ab";i:1;}',
  "i:9223372036854775808;",
  "i:+9223372036854775808;",
  "i:10000000000000000000;",
  "a:1:{i:-009223372036854775809;N;}",
  'a:2:{i:0;O:8:"stdClass":0:{}i:0;r:2;}',
  'O:8:"stdClass":2:{s:1:"a";i:5;s:1:"a";R:2;}',
  'a:3:{i:5;O:8:"stdClass":0:{}s:1:"5";N;i:6;r:2;}',
];

const valueClasses = [
  "DateTime",
  "DateTimeImmutable",
  "DateTimeZone",
  "ArrayObject",
  "ArrayIterator",
  "RecursiveArrayIterator",
  "SplDoublyLinkedList",
  "SplQueue",
  "SplStack",
];

const otherClasses = [
  "PDO",
  "Suit",
  "Point",
  "Exception",
  "Closure",
  "DateInterval",
  "Dba\\Connection",
  "dom\\Document",
  "FFI\\CData",
  "Workerman\\Events\\EventInterface",
  "Channel\\Client",
  "stdClas",
  "stdClass_",
  "\xc0",
];

describe("values that may end a PHP process", () => {
  it.each(unsafe)("%j is refused", (text) => {
    const scanner = new Scanner(latin1(text));

    expect([scanner.skipValue(), accepts(text)]).toEqual([true, false]);
  });

  it.each(safe)("%j is accepted", (text) => {
    expect(accepts(text)).toBe(true);
  });

  it.each(otherClasses)("an object of %j is refused at any depth", (name) => {
    const object = `O:${name.length}:"${name}":0:{}`;
    const places = [
      object,
      `a:1:{i:0;${object}}`,
      `O:8:"stdClass":1:{s:1:"a";${object}}`,
      `a:3:{i:0;O:8:"stdClass":0:{}i:1;r:2;i:2;a:2:{i:0;N;i:1;${object}}}`,
    ];

    expect(places.map(accepts)).toEqual(places.map(() => false));
  });

  it.each([
    ['a:3:{i:0;O:8:"stdClass":0:{}i:1;O:3:"PDO":0:{}i:2;O:4:"Suit":0:{}}', "PDO"],
    ['a:2:{i:0;O:8:"SplStack":3:{i:0;i:6;i:1;N;i:2;a:0:{}}i:1;O:3:"PDO":0:{}}', "SplStack"],
    ['O:3:"PDO":x', undefined],
  ])("in %j the first refused class is %s", (text, refused) => {
    const scanner = new Scanner(latin1(text));
    scanner.skipValue();

    expect(scanner.refusedClass).toBe(refused);
  });

  const list = (count: number, value: string) => `a:${count}:{${`i:0;${value}`.repeat(count)}}`;
  const besides = (entries: string[]) => `a:${entries.length + 2}:{i:0;N;i:1;R:2;${entries.join("")}}`;
  const numbered = (count: number, entry: (at: number) => string) =>
    Array.from({ length: count }, (_, at) => entry(at));

  it.each<[kind: string, build: (count: number) => string, most: number]>([
    ["arrays", (count) => list(count, "a:1:{i:0;N;}"), maxWeight - 1],
    ["objects", (count) => list(count, 'O:8:"stdClass":0:{}'), maxWeight / 2 - 1],
    ["time zones", (count) => list(count, `O:12:"DateTimeZone":2:{${zone(3, "UTC")}}`), maxWeight / 8],
    ["references", (count) => besides(numbered(count - 1, (at) => `i:${at + 2};R:2;`)), maxWeight / 2 - 1],
    ["keys beside references", (count) => besides(numbered(count, (at) => `s:6:"${at + 1e5}";N;`)), maxWeight - 3],
  ])("more %s than the limit are refused, because they cost a receiver much", (_, build, most) => {
    expect([most, most + 1].map((count) => accepts(build(count)))).toEqual([true, false]);
  });

  it("empty arrays and names of properties have no weight", () => {
    const names = numbered(maxWeight, (at) => `s:6:"${at + 1e5}";N;`);

    expect(accepts(list(maxWeight, "a:0:{}"))).toBe(true);
    expect(accepts(`O:8:"stdClass":${maxWeight}:{${names.join("")}}`)).toBe(true);
  });

  it("names of classes and zones are remembered, up to a number and a length", () => {
    const remember = vi.spyOn(Map.prototype, "set");
    const rememberedBy = (act: () => unknown) => {
      remember.mockClear();
      act();
      return remember.mock.calls.map(([name]) => name);
    };
    const allows = allowClasses(["App\\*"]);
    const classes = ["a".repeat(200), ...numbered(1_100, (at) => `App\\A${at}`)];
    const zones = numbered(1_100, (at) => `O:12:"DateTimeZone":2:{${zone(3, `Europe/${at}`)}}`);

    const rememberedClasses = rememberedBy(() => ["a".repeat(201), ...classes, ...classes].map(allows));
    const rememberedZones = rememberedBy(() => [...zones, ...zones].map(accepts));
    remember.mockRestore();

    expect(rememberedClasses).toEqual(classes.slice(0, 1_000));
    expect(rememberedZones).toEqual(numbered(rememberedZones.length, (at) => `Europe/${at}`));
    expect(rememberedZones.length).toBeGreaterThan(900);
    expect(rememberedZones.length).toBeLessThanOrEqual(1_000);
  });
});

describe("classes that the operator allows", () => {
  it("are named or belong to a named namespace, in any case of ASCII letters", () => {
    const allows = allowClasses(["Point", "App\\User", "Shop\\*"]);
    const allowed = ["Point", "POINT", "app\\user", "Shop\\Order", "shop\\deep\\Item", "stdClass"];
    const others = ["Points", "App\\User\\Role", "App\\Other", "Shop", "Shopping\\Order", "My\\Shop\\Order", "\\Point"];

    expect(allowed.filter((name) => !allows(name))).toEqual([]);
    expect(others.filter(allows)).toEqual([]);
  });

  it("are compared byte for byte beyond ASCII", () => {
    const allows = allowClasses(["Событие"]);
    const bytes = (name: string) => Buffer.from(name).toString("latin1");

    expect([allows(bytes("Событие")), allows(bytes("событие"))]).toEqual([true, false]);
  });

  it("are all classes with *", () => {
    const allows = allowClasses(["*"]);

    expect(otherClasses.every(allows)).toBe(true);
    expect(isWholeValue(latin1('O:8:"App\\User":0:{}'), 1, allows)).toBe(true);
    expect(isWholeValue(latin1('E:11:"Suit:Hearts";'), 1, allows)).toBe(false);
  });

  it("are the classes of every application's namespace with *\\*, and more that are named", () => {
    const allows = allowClasses(["*\\*", "Point", "Dom\\*"]);

    expect(["App\\User", "Domain\\Item", "Point", "Dom\\Document"].filter((name) => !allows(name))).toEqual([]);
    expect(["PDO", "Random\\Engine\\Secure", "Points", "\\App\\User"].filter(allows)).toEqual([]);
  });

  it.each([[[]], [["none"]]])("with %j are only harmless ones and well-formed values of PHP", (patterns) => {
    const allows = allowClasses(patterns);
    const accepted = safe.filter((text) => isWholeValue(latin1(text), 1, allows));

    expect(["App\\User", "Point", "none", ...otherClasses].filter(allows)).toEqual([]);
    expect(accepted).toEqual(safe.filter((text) => !/App|Shop/.test(text)));
  });

  it("are written as PHP writes class names, without a leading backslash", () => {
    const patterns = ["Point", "App\\User", "App\\*", "*", "*\\*", "none", "Событие", "_a1", "App\\_a1"];
    const others = ["", "\\App", "App\\", "App*", "App\\*\\B", "**", "*\\A", "a-b", "1a", "App\\a-b", "App\\\\User"];

    expect(patterns.filter((text) => !isClassPattern(text))).toEqual([]);
    expect(others.filter(isClassPattern)).toEqual([]);
  });
});

describe.skipIf(!hasPhp)("compared with PHP itself", () => {
  /** Returns for each value why PHP cannot read it, or "". */
  function failuresOf(values: readonly string[]): string[] {
    const script = `
      enum Suit: string { case Hearts = 'H'; }
      abstract class Abstraction {}
      interface Contract {}
      trait Piece {}
      class Typed { public int $x = 0; }
      class Checked { function __wakeup() { throw new Exception('checked'); } }
      set_error_handler(function ($code, $text) { throw new ErrorException($text); });
      while (($line = fgets(STDIN)) !== false) {
        $failure = '';
        try { if (unserialize(hex2bin(trim($line))) === false) $failure = 'false'; }
        catch (Throwable $error) { $failure = $error->getMessage(); }
        echo str_replace("\\n", ' ', $failure), "\\n";
      }`;
    const input = values.map((value) => `${latin1(value).toString("hex")}\n`).join("");
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

  /** Returns spellings that PHP reads as the same class. */
  const spellings = (name: string) => [name, name.toLowerCase(), name.toUpperCase(), `\\${name}`];
  const bodies = [
    "0:{}",
    '1:{s:1:"x";s:1:"a";}',
    '1:{s:4:"date";N;}',
    '1:{s:4:"line";s:1:"x";}',
    "2:{i:0;a:1:{i:0;i:1;}i:1;a:0:{}}",
    "3:{i:0;i:0;i:1;a:0:{}i:2;a:0:{}}",
    "4:{i:0;i:0;i:1;a:0:{}i:2;a:0:{}i:3;N;}",
    "4:{i:0;i:16777216;i:1;a:0:{}i:2;a:0:{}i:3;N;}",
    `3:{${dateTime.slice(dateTime.indexOf("{") + 1)}${zone(3, "UTC")}}`,
    `2:{${zone(3, "UTC")}}`,
  ];
  const inPlaces = (object: string) => [
    object,
    `a:1:{s:1:"a";${object}}`,
    `O:8:"stdClass":1:{s:1:"a";${object}}`,
    `a:3:{i:0;O:8:"stdClass":0:{}i:1;r:2;i:2;${object}}`,
  ];

  it("PHP reads every accepted value without a warning", () => {
    expect(failuresOf(safe)).toEqual(safe.map(() => ""));
  });

  it("of all classes that PHP declares, and of classes that throw, no object is accepted that PHP cannot read", () => {
    const own = ["Suit", "Abstraction", "Contract", "Piece", "Typed", "Checked", "Unknown", "App\\Suit"];
    const names = [...phpClasses(), ...own].flatMap(spellings);
    const objects = names.flatMap((name) => [
      ...bodies.map((body) => `O:${name.length}:"${name}":${body}`),
      `C:${name.length}:"${name}":0:{}`,
      `E:${name.length + 7}:"${name}:Hearts";`,
    ]);
    const values = objects.flatMap(inPlaces);

    const accepted = values.filter(accepts);
    const failures = failuresOf(accepted);

    expect(names.length).toBeGreaterThan(500);
    expect(accepted.filter((_, at) => failures[at] !== "")).toEqual([]);
    // Objects of stdClass, incomplete classes and App\Suit in every body, and each value class in its own form.
    const inAnyForm = names.filter(defaultClasses).length * bodies.length;
    expect(accepted.length).toBe((inAnyForm + valueClasses.length * 3) * inPlaces("").length);
  });

  it("a namespace named after an extension of PHP is not an application's", () => {
    const { stdout } = spawnSync("php", ["-r", "echo implode(',', get_loaded_extensions());"], { encoding: "latin1" });
    // PHP has classes of these without a namespace only, and `Zend OPcache` is no name of a namespace.
    const others = ["Core", "standard", "Zend OPcache"];
    const extensions = stdout.split(",").filter((name) => !others.includes(name));

    expect(extensions.length).toBeGreaterThan(10);
    expect(extensions.filter((name) => defaultClasses(`${name}\\Item`))).toEqual([]);
  });

  it("of value objects with references to any slot, none is accepted that PHP cannot read", () => {
    const slot = fc.nat({ max: 12 });
    const element = fc.oneof(
      slot.map((target) => `R:${target};`),
      slot.map((target) => `r:${target};`),
      fc.constantFrom("i:1;", 's:1:"a";', "a:1:{i:0;N;}"),
    );
    const members = fc
      .array(element, { maxLength: 3 })
      .map((items) => `a:${items.length}:{${items.map((item, at) => `i:${at};${item}`).join("")}}`);
    const object = fc.oneof(
      members.map((array) => `O:8:"SplQueue":3:{i:0;i:4;i:1;${array}i:2;a:0:{}}`),
      members.map((array) => `O:11:"ArrayObject":4:{i:0;i:0;i:1;${array}i:2;a:0:{}i:3;N;}`),
      fc.constant(`${dateTime}${zone(3, "UTC")}}`),
    );
    const value = fc
      .array(fc.oneof(object, element), { minLength: 1, maxLength: 4 })
      .map((items) => `a:${items.length}:{${items.map((item, at) => `i:${at};${item}`).join("")}}`);
    const accepted = fc.sample(value, { numRuns: 10_000, seed: 2206 }).filter(accepts);

    const failures = failuresOf(accepted);

    expect(accepted.filter((_, at) => failures[at] !== "").slice(0, 3)).toEqual([]);
    expect(accepted.filter((text) => text.includes("R:")).length).toBeGreaterThan(200);
  });

  it("every zone that PHP writes is accepted, and every accepted zone is one that PHP reads", () => {
    const php = spawnSync("php", ["-r", "echo implode(',', DateTimeZone::listIdentifiers());"], { encoding: "latin1" });
    const zones = php.stdout.split(",");
    // Names of JavaScript that are not in the time zone database, which PHP has.
    const others =
      "ACT AET AGT ART AST BET BST CAT CNT CST CTT EAT ECT IET IST JST MIT NET NST PLT PNT PRT PST SST VST SystemV/PST8 systemv/ast4adt US/Pacific-New us/pacific-new Canada/East-Saskatchewan Etc/Unknown Etc/GMT+15 localtime posixrules Factory posix/UTC GMT+1".split(
        " ",
      );
    const links =
      "utc UCT Zulu GMT0 GMT+0 EST5EDT HST W-SU GB-Eire US/Pacific Asia/Calcutta Europe/Kiev europe/paris".split(" ");
    const objects = [...zones, ...links, ...Intl.supportedValuesOf("timeZone"), ...others].map(
      (name) => `O:12:"DateTimeZone":2:{${zone(3, name)}}`,
    );

    const accepted = objects.filter(accepts);

    expect(objects.slice(0, zones.length + links.length).filter((text) => !accepts(text))).toEqual([]);
    const failures = failuresOf(accepted);
    expect(accepted.filter((_, at) => failures[at] !== "")).toEqual([]);
  });
});
