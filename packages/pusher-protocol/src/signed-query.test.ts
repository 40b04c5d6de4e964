import fc from "fast-check";
import { expect, test } from "vitest";
import { parseSignedQuery, type SignedQuery, signedTexts } from "./signed-query.ts";

const parse = (query: string, plusMeans: " " | "+" = "+"): SignedQuery => parseSignedQuery(query, plusMeans) ?? [];

test("names are lower-cased and sorted, values are decoded, and the signature is left out", () => {
  const query = "info=a%2Cb,c&Auth_Key=k&auth_signature=00&filter_by_prefix=presence-&auth_timestamp=1&x";

  expect(signedTexts(parse(query))).toEqual(["auth_key=k&auth_timestamp=1&filter_by_prefix=presence-&info=a,b,c&x="]);
});

test("a query with an array has two signed texts: repeated as in Ruby, joined as in PHP", () => {
  const expected = ["a=1&channels[]=one&channels[]=two&name=n", "a=1&channels=one,two&name=n"];

  expect(signedTexts(parse("name=n&channels[]=one&channels[]=two&a=1"))).toEqual(expected);
  expect(signedTexts(parse("channels%5B0%5D=one&channels%5B1%5D=two&name=n&a=1"))).toEqual(expected);
});

test("values of an array keep their order, and brackets elsewhere are no array", () => {
  expect(signedTexts(parse("k[]=2&k[]=1&a=3&k[]=0"))).toEqual(["a=3&k[]=2&k[]=1&k[]=0", "a=3&k=2,1,0"]);
  expect(signedTexts(parse("a[0]b=1&[]=2&c[x]=3&&=4"))).toEqual(["[]=2&=4&a[0]b=1&c[x]=3", "=2,4&a[0]b=1&c[x]=3"]);
});

test("a plus sign is read in both ways", () => {
  expect(parse("a=1+2", " ")).toEqual([{ name: "a", value: "1 2", isArray: false }]);
  expect(parse("a=1+2", "+")).toEqual([{ name: "a", value: "1+2", isArray: false }]);
  expect(parse("a=1%2B2", " ")).toEqual(parse("a=1%2B2", "+"));
});

test("escapes that are not UTF-8 have no reading", () => {
  for (const query of ["a=%", "a=%FF", "%E0%80=1", "a=%C3%28"])
    expect(parseSignedQuery(query, "+"), query).toBeUndefined();
});

test("the signed text does not depend on the order or the escapes of the query", () => {
  const name = fc.string({ minLength: 1, maxLength: 5, unit: fc.constantFrom(..."abcя_&= +%") });
  const value = fc.string({ maxLength: 5, unit: fc.constantFrom(..."abc,=&+ %[]я😀") });
  const parameters = fc.uniqueArray(fc.tuple(name, value), { minLength: 1, selector: ([each]) => each });

  fc.assert(
    fc.property(parameters, fc.boolean(), (pairs, isReversed) => {
      const sent = (isReversed ? pairs.toReversed() : pairs)
        .map(([each, text]) => `${encodeURIComponent(each)}=${encodeURIComponent(text)}`)
        .join("&");
      const sorted = [...pairs].sort(([one], [other]) => (one < other ? -1 : 1));

      expect(signedTexts(parse(sent))).toEqual([sorted.map(([each, text]) => `${each}=${text}`).join("&")]);
    }),
  );
});

test("any query is read without an error", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (query) => {
      for (const plusMeans of [" ", "+"] as const) signedTexts(parse(query, plusMeans));
    }),
  );
});
