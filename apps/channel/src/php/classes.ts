/** Returns whether objects of the class may be passed on. Names have one character for each byte, as PHP wrote them. */
export type ClassRule = (className: string) => boolean;

/**
 * The rule without a setting. `stdClass` is the one class that every PHP reads without running code of a class: any other
 * may be an enum, an interface, an internal class or one with its own checks in a receiver, which throws while it reads.
 */
export const onlyStdClass: ClassRule = (className) => className === "stdClass" || lowerCase(className) === "stdclass";

const anyName = "*";
const namespaceEnd = "\\*";

/** Whether the text is a class (`User`, `App\User`), all classes of a namespace (`App\*`), or all classes (`*`). */
export function isClassPattern(text: string): boolean {
  return text === anyName || /^[\p{L}_][\p{L}\p{N}_]*(\\[\p{L}_][\p{L}\p{N}_]*)*(\\\*)?$/u.test(text);
}

/** Adds the classes of the patterns to `stdClass`. Like PHP, it ignores the case of ASCII letters alone. */
export function allowClasses(patterns: readonly string[]): ClassRule {
  if (patterns.includes(anyName)) return () => true;
  const named = patterns.map((pattern) => lowerCase(Buffer.from(pattern).toString("latin1")));
  const classes = new Set(named.filter((name) => !name.endsWith(namespaceEnd)));
  const namespaces = named.filter((name) => name.endsWith(namespaceEnd)).map((name) => name.slice(0, -1));
  return (className) => {
    if (onlyStdClass(className)) return true;
    const name = lowerCase(className);
    return classes.has(name) || namespaces.some((start) => name.startsWith(start));
  };
}

function lowerCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
