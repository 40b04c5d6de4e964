import type { Text } from "./texts.ts";

/** A sentence that breaks a rule, by its positions in the file. */
export type Finding = { readonly start: number; readonly end: number; readonly advice: string };

type Rule = { readonly pattern: RegExp; readonly advice: string };

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
];

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
