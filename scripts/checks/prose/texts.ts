import jsTokens, { type JSXToken, type Token } from "js-tokens";

/**
 * A text for people within a file, with blanks in place of all that is not prose. It is as long as its place in the
 * file, so that a position in it is a position in the file.
 */
export type Text = {
  readonly start: number;
  readonly text: string;
  /** Whether the text is a string, which may begin with a small letter. */
  readonly isString?: boolean;
};

/**
 * Calls whose strings people read: tests, log lines, errors, descriptions of settings, metrics, options of commands.
 */
const PROSE_CALL =
  /^(?:test|it|describe)(?:\.\w+)*$|\blog(?:ger)?\.(?:debug|info|warn|error|fatal)$|(?:^|\.)(?:say|\w*Error|describe|description|option|argument)$|^(?:counter|gauge|labelled|jsonResponse|until)$|^console\.\w+$/;

/** Members of objects whose strings people read: descriptions of the API, help texts of metrics, messages of errors. */
const PROSE_MEMBER = /^(?:description|summary|help|message)$/;

/**
 * Returns the comments of TypeScript or JavaScript, the strings that people read, and with `jsx` the texts of the
 * elements.
 */
export function textsOfCode(source: string, { jsx = false } = {}): Text[] {
  const reader = new CodeReader(source);
  for (const token of jsTokens(source, { jsx })) reader.read(token);
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
  /** The member of an object whose value begins with this token. */
  #member = "";
  #isProse = false;
  #position = 0;
  #lineComment: Text | undefined;

  constructor(source: string) {
    this.#source = source;
  }

  read({ type, value }: Token | JSXToken): void {
    const start = this.#position;
    this.#position += value.length;
    if (type === "WhiteSpace" || type === "LineTerminatorSequence") return;
    if (type === "SingleLineComment") {
      this.#addLineComment(start);
      return;
    }
    this.#lineComment = undefined;
    if (type === "MultiLineComment") {
      this.texts.push({ start, text: maskComment(value) });
      return;
    }
    const member = this.#member;
    this.#member = "";
    if (type === "IdentifierName" || type === "PrivateIdentifier") this.#readName(value);
    else if (type === "Punctuator" || type === "JSXPunctuator") this.#readPunctuator(value, member);
    else if (type === "JSXText") this.texts.push({ start, text: maskMarks(value), isString: true });
    else this.#readString(type, value, { start, member });
  }

  #readName(value: string): void {
    this.#name = this.#isAfterDot ? `${this.#name}.${value}` : value;
    this.#isAfterDot = false;
  }

  #readPunctuator(value: string, member: string): void {
    this.#isAfterDot = value === "." || value === "?.";
    if (this.#isAfterDot) return;
    const name = this.#name;
    this.#name = "";
    if (value === "(") this.#open.push(name);
    else if (value === "[") this.#open.push(PROSE_MEMBER.test(member) ? PROSE_LIST : "");
    else if (value === "{") this.#open.push("");
    else if (value === ":") this.#member = name;
    // The result of a call may be called, as in test.each(…)("name", …).
    else if (value === ")") this.#name = this.#open.pop() ?? "";
    else if (value === "}" || value === "]") this.#open.pop();
  }

  #readString(
    type: (Token | JSXToken)["type"],
    value: string,
    { start, member }: { readonly start: number; readonly member: string },
  ): void {
    const isTemplate = type.startsWith("Template");
    if (type === "TemplateMiddle" || type === "TemplateTail") this.#isProse = this.#open.pop() === PROSE_TEMPLATE;
    else this.#isProse = PROSE_MEMBER.test(member) || isProse(this.#open.at(-1) ?? "");
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
const PROSE_LIST = "[";

/** Returns whether people read the strings directly within this bracket. */
function isProse(bracket: string): boolean {
  return bracket === PROSE_LIST || PROSE_CALL.test(bracket);
}

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
