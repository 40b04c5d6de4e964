import { describe, expect, it, test } from "vitest";
import { checkText } from "./rules.ts";
import { type Text, textsOfCode, textsOfMarkdown } from "./texts.ts";

const findings = (texts: readonly Text[]) => texts.flatMap(checkText);
const advice = (text: string) => findings([{ start: 0, text }]).map((finding) => finding.advice.split(":")[0]);
const places = (source: string, texts: readonly Text[]) =>
  findings(texts).map(({ start, end }) => source.slice(start, end));

describe("rules", () => {
  it.each([
    "Who follows a topic learns of it.",
    "It works. Of several workers one answers.",
    "First sentence!\n\nWhat waits is bounded in bytes.",
    "A list:\n- That it failed is logged once.",
    "| worker | What it has delivered so far. |",
    "@returns What the worker has delivered.",
  ])("find a sentence that does not begin with its actor: %j", (text) => {
    expect(advice(text)).toEqual(["begin with the actor, not with Who, Of, What, That"]);
  });

  it.each([
    ["Subscribes anew on the other node.", "anew"],
    ["Asking is dear here.", "dear"],
    ["So many bytes may wait.", "so many"],
    ["A worker that is silent for so long.", "so many"],
    ["Each client hears it once.", "hear"],
    ["The event was heard twice.", "hear"],
    ["A closed connection gets no more.", "no more"],
    ["Refused by either door.", "door"],
    ["Writes a corkful at a time.", "corkful"],
    ["Counts the followers of a topic.", "follower"],
    ["Each edge has workers.", "edge"],
    ["The client is told why.", "tell"],
    ["The log says why.", "say"],
    ["The connection is gone.", "gone"],
    ["Everybody may connect.", "somebody"],
    ["Whoever connects is counted.", "somebody"],
    ["The worker goes on.", "go on"],
    ["Clients come back at once.", "come back"],
    ["While NATS is away it waits.", "away"],
    ["Such a client stays away.", "stay away"],
    ["A replay that is proven.", "proven"],
    ["It is closed for good.", "for good"],
    ["Nothing waits in vain.", "in vain"],
    ["It closes, and thereby ends.", "thereby"],
    ["The application vouches for it.", "vouch"],
    ["It is read once more.", "once more"],
    [`The worker writes${" and writes".repeat(12)}.`, "more than 25 words"],
  ])("find %j", (text, expected) => {
    expect(advice(text)).toEqual([expected]);
  });

  it.each([
    "Who may publish, and to what?",
    "## What to watch in production",
    "Of course it retries.",
    "| What | Who |",
    "Offers a page. Whatever happens, it closes.",
    "There are so many connections that one tick is too short.",
    "It waits so long as a leader is missing.",
    "No more than ten connections, and no more tokens are read.",
    "The outdoors, a doorbell, a shear and a hearing.",
    "The worker shows what it has, and who asked.",
    `The worker writes${" and writes".repeat(10)}: it writes${" and writes".repeat(10)}.`,
    "The edge of a chart, and a path that goes to one.",
    "A trade for goods, once, and more of them.",
    "The message comes from the worker, back to the caller.",
  ])("let pass %j", (text) => {
    expect(advice(text)).toEqual([]);
  });
});

describe("TypeScript", () => {
  it("is checked in comments, across lines", () => {
    const source = "/**\n * Reads.\n * Who is\n * late waits.\n */\nf(); // So\n// many bytes.\n";

    expect(places(source, textsOfCode(source))).toEqual(["Who is\n * late waits.", "So\n// many bytes."]);
  });

  it.each([
    'test("hears it", () => 1);',
    'it.skipIf(x)("hears it", f);',
    'test.each([["a", (b)]])("hears it", f);',
    'this.#log.warn({ a: "b" }, "hears it");',
    "options.logger.info(`$" + "{a} hears it`);",
    "say(`a $" + '{b("c")} hears $' + "{d}`);",
    'throw new Error("hears it");',
    'z.string().describe("hears it");',
    'route({ summary: "hears it", tags: ["fine"] });',
    'route({ description: ["fine", "hears it"].join(" ") });',
    "throw new ApiError('x', { message: `hears $" + "{a}` });",
    'gauge("name", "hears it", () => 1);',
    'program.option("-x", "hears it");',
    'x = a / 2; y = /"/; test("hears it");',
    'test("who is late is closed in the end", f);',
    'test("what a worker cannot read is dropped", f);',
  ])("is checked in strings that people read: %s", (source) => {
    expect(findings(textsOfCode(source))).toHaveLength(1);
  });

  it.each([
    "const hears = door.heard(anew);",
    'send("anew");',
    'log.info({ reason: "anew" }, "fine");',
    'test("fine", () => expect(x).toBe("heard"));',
    'test("that is too old for this is skipped", f);',
    'f("what a worker cannot read is dropped");',
    "const door = /* fine */ `heard`;",
    '// The metric `heard_total`, the word "door", {@link door} and https://example.org/door',
    "test(`fine $" + '{heard("door")}`);',
    "test(`fine $" + "{a}`); f(`heard $" + "{b} heard`);",
  ])("is not checked elsewhere: %s", (source) => {
    expect(findings(textsOfCode(source))).toEqual([]);
  });
});

describe("Markdown", () => {
  it("is checked, and names the place", () => {
    const source = "# Title\n\nFine. **Who** comes\nlate waits.\n";

    expect(places(source, textsOfMarkdown(source))).toEqual(["Who** comes\nlate waits."]);
  });

  it.each([
    "```ts\nhears\n```\n",
    "Run it:\n\n    npm run door\n\n    hears\n",
    'Use `door`, or [the page](door.md), or <a name="door">.',
    "<!-- Who writes this hears it. -->",
  ])("is not checked in code and addresses: %j", (source) => {
    expect(findings(textsOfMarkdown(source))).toEqual([]);
  });
});

test("texts are as long as their place in the file", () => {
  const source = '// One "x" `y`\n// two\nlog.info(`a\\n$' + "{b} c`);\n/** d */";

  for (const { start, text } of textsOfCode(source)) {
    expect(source.slice(start, start + text.length)).toHaveLength(text.length);
    expect(text.trim()).not.toBe("");
  }
});
