/** Returns whether objects of the class are passed on. Names have one character for each byte, as PHP wrote them. */
export type ClassRule = (className: string) => boolean;

const anyClass = "*";
const anyNamespace = "*\\*";
const noClass = "none";
const namespaceEnd = "\\*";

/** PHP reads objects of these two in any form without running code. */
const harmlessClasses: ReadonlySet<string> = new Set(["stdclass", "__php_incomplete_class"]);

/**
 * First segments of namespaces that are not an application's. PHP throws when it reads most of their classes. PHP names
 * the namespaces of its bundled extensions after them (RFC "Namespaces in bundled PHP extensions"). So this list covers
 * classes of later versions. Every receiver has the classes of Workerman and of its channel client.
 */
const foreignNamespaces: ReadonlySet<string> = new Set(
  `bcmath bz2 calendar com ctype curl date dba dom enchant exif ffi fileinfo filter ftp gd gettext gmp hash iconv
   imap intl io json lexbor ldap libxml mbstring mysqli mysqlnd oci8 odbc opcache openssl pcntl pcre pdo pgsql phar
   php posix pspell random readline reflection session shmop simplexml snmp soap sockets sodium spl sqlite3 sysvmsg
   sysvsem sysvshm tidy tokenizer uri xml xmlreader xmlwriter xsl zend zip zlib channel workerman`.split(/\s+/),
);

/**
 * Whether the text is `none`, a class (`User`, `App\User`), a namespace (`App\*`), all namespaces (`*\*`), or all
 * classes (`*`).
 */
export function isClassPattern(text: string): boolean {
  if (text === anyClass || text === anyNamespace) return true;
  return /^[\p{L}_][\p{L}\p{N}_]*(\\[\p{L}_][\p{L}\p{N}_]*)*(\\\*)?$/u.test(text);
}

/**
 * Returns the rule for the patterns. It always allows `stdClass`. Like PHP, it ignores the case of ASCII letters alone.
 *
 * `*\*` allows the classes of every namespace except those of PHP's own extensions. A class without a namespace may
 * belong to PHP in some version, so that only its name or `*` allows it.
 */
export function allowClasses(patterns: readonly string[]): ClassRule {
  if (patterns.includes(anyClass)) return () => true;
  const allowsNamespaces = patterns.includes(anyNamespace);
  const named = patterns
    .filter((pattern) => pattern !== anyNamespace && pattern !== noClass)
    .map((pattern) => lowerCase(Buffer.from(pattern).toString("latin1")));
  const classes = new Set(named.filter((name) => !name.endsWith(namespaceEnd)));
  const namespaces = named.filter((name) => name.endsWith(namespaceEnd)).map((name) => name.slice(0, -1));
  return remembering((className) => {
    const name = lowerCase(className);
    if (harmlessClasses.has(name) || classes.has(name)) return true;
    if (allowsNamespaces && isOfApplication(name)) return true;
    return namespaces.some((start) => name.startsWith(start));
  });
}

const maxRemembered = 1_000;
const longestRemembered = 200;

/** Remembers the answers of a rule, because a message may hold hundreds of thousands of objects of few classes. */
function remembering(rule: ClassRule): ClassRule {
  const answers = new Map<string, boolean>();
  return (className) => {
    const known = answers.get(className);
    if (known !== undefined) return known;
    const answer = rule(className);
    if (answers.size < maxRemembered && className.length <= longestRemembered) answers.set(className, answer);
    return answer;
  };
}

/** The rule without a setting. */
export const defaultClasses: ClassRule = allowClasses([anyNamespace]);

function isOfApplication(lowerCaseName: string): boolean {
  const end = lowerCaseName.indexOf("\\");
  return end > 0 && !foreignNamespaces.has(lowerCaseName.slice(0, end));
}

function lowerCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
