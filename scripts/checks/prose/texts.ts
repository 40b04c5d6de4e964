import jsTokens, { type Token } from "js-tokens";

/**
 * A text for people within a file, with blanks in place of all that is not prose. It is as long as its place in the file, so
 * that a position in it is a position in the file.
 */
export type Text = {
  readonly start: number;
  readonly text: string;
  /** Whether the text is a string, which may begin with a small letter. */
  readonly isString?: boolean;
};

/** Calls whose strings people read: tests, log lines, errors, and descriptions of settings. */
const PROSE_CALL =
  /^(?:test|it|describe)(?:\.\w+)*$|\blog(?:ger)?\.(?:debug|info|warn|error|fatal)$|(?:^|\.)(?:say|\w*Error|describe)$|^console\.\w+$/;

/** Returns the comments of TypeScript or JavaScript, and the strings in calls whose strings people read. */
export function textsOfCode(source: string): Text[] {
  const reader = new CodeReader(source);
  for (const token of jsTokens(source)) reader.read(token);
  return reader.texts;
}

class CodeReader {
  readonly texts: Text[] = [];
  readonly #source: string;
  /** Open brackets, each with the name of what it calls, or with an empty name. */
  readonly #open: string[] = [];
  /** The name before this token, as in `this.#log.warn`. */
  #name = "";
  #isAfterDot = false;
  #isProse = false;
  #position = 0;
  #lineComment: Text | undefined;

  constructor(source: string) {
    this.#source = source;
  }

  read({ type, value }: Token): void {
    const start = this.#position;
    this.#position += value.length;
    if (type === "WhiteSpace" || type === "LineTerminatorSequence") return;
    if (type === "SingleLineComment") {
      this.#addLineComment(start);
      return;
    }
    this.#lineComment = undefined;
    if (type === "MultiLineComment") this.texts.push({ start, text: maskComment(value) });
    else if (type === "IdentifierName" || type === "PrivateIdentifier") this.#readName(value);
    else if (type === "Punctuator") this.#readPunctuator(value);
    else this.#readString(type, value, start);
  }

  #readName(value: string): void {
    this.#name = this.#isAfterDot ? `${this.#name}.${value}` : value;
    this.#isAfterDot = false;
  }

  #readPunctuator(value: string): void {
    this.#isAfterDot = value === "." || value === "?.";
    if (this.#isAfterDot) return;
    const name = this.#name;
    this.#name = "";
    if (value === "(") this.#open.push(name);
    else if (value === "{" || value === "[") this.#open.push("");
    // The result of a call may be called, as in test.each(…)("name", …).
    else if (value === ")") this.#name = this.#open.pop() ?? "";
    else if (value === "}" || value === "]") this.#open.pop();
  }

  #readString(type: Token["type"], value: string, start: number): void {
    const isTemplate = type.startsWith("Template");
    if (type === "TemplateMiddle" || type === "TemplateTail") this.#isProse = this.#open.pop() === PROSE_TEMPLATE;
    else this.#isProse = PROSE_CALL.test(this.#open.at(-1) ?? "");
    if (this.#isProse && (isTemplate || type === "StringLiteral" || type === "NoSubstitutionTemplate"))
      this.texts.push({
        start,
        text: maskString(value),
        isString: type !== "TemplateMiddle" && type !== "TemplateTail",
      });
    if (type === "TemplateHead" || type === "TemplateMiddle") this.#open.push(this.#isProse ? PROSE_TEMPLATE : "");
    this.#name = "";
  }

  /** Joins comments of lines that follow each other, because a sentence may span them. */
  #addLineComment(start: number): void {
    const before = this.#lineComment;
    const joined = before === undefined ? start : before.start;
    if (before !== undefined) this.texts.pop();
    const text = this.#source.slice(joined, this.#position).replaceAll(/^\s*\/\//gm, blank);
    this.#lineComment = { start: joined, text: maskMarks(text) };
    this.texts.push(this.#lineComment);
  }
}

const PROSE_TEMPLATE = "`";

function maskComment(comment: string): string {
  return maskMarks(comment.replaceAll(/^\/\*\*?|\*\/$|^[ \t]*\*(?!\/)/gm, blank));
}

/** Hides the quotation marks of a string, the marks of a template, and escapes. */
function maskString(literal: string): string {
  return maskMarks(literal.replaceAll(/^["'`}]|["'`]$|\$\{$|\\./g, blank));
}

/** Returns the prose of Markdown: no code, no addresses, no front matter. */
export function textsOfMarkdown(source: string): Text[] {
  const prose = source
    .replaceAll(/^(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\1[^\n]*$/gm, blank)
    .replaceAll(/(?<=\n\n)(?: {4}|\t)[^\n]*(?:\n+(?: {4}|\t)[^\n]*)*/g, blank)
    .replaceAll(/<!--[\s\S]*?-->|<[a-z/][^>\n]*>/g, blank)
    .replaceAll(/\]\([^)\n]*\)/g, blank);
  return [{ start: 0, text: maskMarks(prose) }];
}

/** Hides code spans, quotations, addresses and emphasis. Code spans stand for a word. */
function maskMarks(text: string): string {
  return text
    .replaceAll(/`[^`\n]*`/g, word)
    .replaceAll(/\{@\w+ [^}]*\}/g, word)
    .replaceAll(/(?<![\w"])"[^"\n]*"(?!\w)|[“«][^”»\n]*[”»]/g, word)
    .replaceAll(/\bhttps?:\/\/\S+/g, word)
    .replaceAll(/\*+|(?<!\w)_+|_+(?!\w)/g, blank);
}

const blank = (text: string) => text.replaceAll(/[^\n]/g, " ");
const word = (text: string) => text.replaceAll(/[^\n]/g, "x");
