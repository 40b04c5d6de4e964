/** Decoded parameters of a query, in their order. Names are lower-case; those of arrays have no brackets. */
export type SignedQuery = readonly QueryParameter[];
type QueryParameter = { readonly name: string; readonly value: string; readonly isArray: boolean };

const SIGNATURE = "auth_signature";
/** The Ruby SDK sends `channels[]=a`, PHP's `http_build_query` writes `channels[0]=a`. */
const ARRAY = /^(.*)\[\d*\]$/s;

/**
 * Decodes a query. Some SDKs send a space as `+`, others send a plus sign as it is, so the signature decides.
 *
 * @returns undefined if an escape is not UTF-8.
 */
export function parseSignedQuery(query: string, plusMeans: " " | "+"): SignedQuery | undefined {
  const text = plusMeans === " " ? query.replaceAll("+", "%20") : query;
  try {
    return text.split("&").flatMap((pair) => (pair === "" ? [] : [readPair(pair)]));
  } catch {
    return undefined;
  }
}

function readPair(pair: string): QueryParameter {
  const equals = pair.indexOf("=");
  const name = decode(equals < 0 ? pair : pair.slice(0, equals)).toLowerCase();
  const [, arrayName] = name.endsWith("]") ? (ARRAY.exec(name) ?? []) : [];
  return {
    name: arrayName ?? name,
    value: equals < 0 ? "" : decode(pair.slice(equals + 1)),
    isArray: arrayName !== undefined,
  };
}

function decode(text: string): string {
  return text.includes("%") ? decodeURIComponent(text) : text;
}

/**
 * Returns the texts that an SDK may have signed for a query: sorted by name, values not escaped, without the signature.
 * There are two if the query has arrays, because the Ruby SDK signs `k[]=a&k[]=b` and the PHP SDK `k=a,b`.
 */
export function signedTexts(query: SignedQuery): string[] {
  const signed = query
    .filter(({ name }) => name !== SIGNATURE)
    .sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0));
  const repeated = signed.map(({ name, value, isArray }) => `${name}${isArray ? "[]" : ""}=${value}`).join("&");
  if (!signed.some(({ isArray }) => isArray)) return [repeated];
  return [repeated, joinedArrays(signed)];
}

function joinedArrays(sorted: SignedQuery): string {
  const values = new Map<string, string>();
  for (const { name, value } of sorted) {
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before},${value}`);
  }
  return [...values].map(([name, value]) => `${name}=${value}`).join("&");
}
