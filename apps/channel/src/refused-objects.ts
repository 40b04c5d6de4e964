// In lower case: PHP's class names have none.
const neverRead = new Set([
  "closure",
  "directoryiterator",
  "fiber",
  "filesystemiterator",
  "generator",
  "globiterator",
  "internaliterator",
  "recursivedirectoryiterator",
  "reflectionclass",
  "reflectionenum",
  "reflectionfunction",
  "reflectionmethod",
  "reflectionobject",
  "reflectionproperty",
  "splfileinfo",
  "splfileobject",
  "spltempfileobject",
  "weakmap",
  "weakreference",
]);

const neverEmpty = new Set([
  "arrayiterator",
  "arrayobject",
  "dateperiod",
  "datetime",
  "datetimeimmutable",
  "datetimezone",
  "recursivearrayiterator",
  "spldoublylinkedlist",
  "splobjectstorage",
  "splqueue",
  "splstack",
]);

const longestName = Math.max(...[...neverRead, ...neverEmpty].map((name) => name.length));

/**
 * Whether every PHP refuses to read such an object by throwing, which ends a process that does not expect it: the
 * original server, and the receivers of what it would pass on. PHP writes none of these itself.
 *
 * This knows only what is built into PHP and shows in class and number of properties. Any class may refuse for reasons of
 * its own, so peers who publish objects have to be trusted all the same.
 */
export function isRefusedObject(className: Uint8Array, propertyCount: number): boolean {
  if (className.length > longestName) return false;
  const name = String.fromCharCode(...className).toLowerCase();
  return neverRead.has(name) || (propertyCount === 0 && neverEmpty.has(name));
}
