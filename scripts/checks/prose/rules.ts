import type { Text } from "./texts.ts";

/** A sentence that breaks a rule, by its positions in the file. */
export type Finding = { readonly start: number; readonly end: number; readonly advice: string };

type Rule = { readonly pattern: { test(sentence: string): boolean }; readonly advice: string };

/** Maximum words of a sentence, or of a part that a colon or semicolon ends. */
const MAX_WORDS = 25;

/** Expressions that are never needed. Others, which are only often wrong, would make people argue with the check. */
const RULES: readonly Rule[] = [
  {
    pattern: /^(?:Who|Of(?! course)|What|That)\s(?!.*\?$)/s,
    advice: "begin with the actor, not with Who, Of, What, That",
  },
  { pattern: /\banew\b/i, advice: "anew: again, or recreated" },
  { pattern: /\bdear\b/i, advice: "dear: expensive" },
  {
    pattern: /\bso (?:many|long|much)\b(?!.*\b(?:as|that)\b)/is,
    advice: "so many: give the unit, as in maximum bytes",
  },
  { pattern: /\b(?:hears?|heard)\b/i, advice: "hear: receive" },
  { pattern: /\bno more\b(?=\s*$|\s*[.,;:)])/i, advice: "no more: no longer" },
  { pattern: /\bdoors?\b/i, advice: "door: protocol" },
  { pattern: /\bcorkfuls?\b/i, advice: "corkful: write batch" },
  { pattern: /\bfollowers?\b/i, advice: "follower: subscriber" },
  { pattern: /\b(?:an|each|every) edge\b/i, advice: "edge: pusher" },
  { pattern: /\b(?:tells?|told)\b/i, advice: "tell: report, show or inform" },
  { pattern: /\b(?:says?|said)\b/i, advice: "say: show, describe or answer" },
  { pattern: /\bgone\b/i, advice: "gone: closed, removed or absent" },
  { pattern: /\b(?:any|every|some)body\b|\bwho(?:m)?ever\b/i, advice: "somebody: name the actor" },
  { pattern: /\b(?:go|goes|went) on\b/i, advice: "go on: continue" },
  { pattern: /\b(?:comes?|came|coming) back\b/i, advice: "come back: return or reconnect" },
  { pattern: /\bNATS (?:is|was|that is) away\b/i, advice: "away: unreachable" },
  { pattern: /\bstay(?:s|ed)? away\b/i, advice: "stay away: do not reconnect" },
  { pattern: /\bfor good\b/i, advice: "for good: permanently" },
  { pattern: /\bin vain\b/i, advice: "in vain: without a result" },
  { pattern: /\b(?:thereby|nevertheless|hence|lest)\b/i, advice: "thereby: two sentences" },
  { pattern: /\bvouch(?:es|ed)?\b/i, advice: "vouch: confirm or sign" },
  { pattern: /\bonce more\b/i, advice: "once more: again" },
  { pattern: /\bproven\b/i, advice: "proven: proved" },
  { pattern: { test: isLong }, advice: `more than ${MAX_WORDS} words: two sentences` },
];

function isLong(sentence: string): boolean {
  return sentence.split(/[;:·]\s/).some((part) => part.split(" ").length > MAX_WORDS);
}

/** Where a sentence begins: a text, a paragraph, an item, a cell, a tag, or after the end of another sentence. */
const SENTENCE = /[.!?][)\]]?\s+|\n[ \t]*\n\s*|\n\s*(?:[-*+]|\d+\.|#+)\s+|\s*\|\s*|\n\s*@\w+\s/g;

/** Headings are no sentences, and neither are cells of a few words: "What to watch" is a good one. */
const MIN_WORDS = 4;

export function checkText({ start, text, isString = false }: Text): Finding[] {
  return splitSentences(text).flatMap(({ at, sentence, isHeading }, index) => {
    const whole = sentence.replaceAll(/\s+/g, " ").trim();
    // "that" and "of" may continue the name of a group of tests.
    const plain = isString && index === 0 ? whole.replace(/^wh(?=o|at)/, "Wh") : whole;
    const isShort = isHeading || plain.split(" ").length < MIN_WORDS;
    const broken = RULES.filter((rule) => !(rule === RULES[0] && isShort) && rule.pattern.test(plain));
    return broken.map(({ advice }) => ({ start: start + at, end: start + at + sentence.trimEnd().length, advice }));
  });
}

type Sentence = { readonly at: number; readonly sentence: string; readonly isHeading: boolean };

function splitSentences(text: string): Sentence[] {
  const sentences: Sentence[] = [];
  const firstLine = /^\s*(?:[-*+]|\d+\.|#+|@\w+)?\s*/.exec(text)?.[0] ?? "";
  let from = firstLine.length;
  let isHeading = firstLine.includes("#");
  for (const match of [...text.matchAll(SENTENCE), undefined]) {
    const end = match?.index ?? text.length;
    // With its end mark, because a question may begin with "Who".
    const sentence = text.slice(from, match === undefined ? end : end + 1);
    if (end > from) sentences.push({ at: from, sentence, isHeading });
    if (match === undefined) break;
    from = Math.max(from, end + match[0].length);
    isHeading = match[0].includes("#");
  }
  return sentences;
}
