import fc from "fast-check";
import { expect, test } from "vitest";
import { originProblem } from "./origin-setting.ts";
import { isAllowedOrigin } from "./origins.ts";

test.each([
  "*",
  "null",
  "https://app.example",
  "HTTPS://App.example",
  "http://localhost:3000",
  "http://127.0.0.1:8080",
  "http://[::A]:8080",
  "http://*.app.example",
  "https://*.app.example:8443",
  "http://app.example:443",
  "https://xn--bcher-kva.example",
  "capacitor://localhost",
  "news://localhost",
  "chrome-extension://abcdefghijklmnop",
])("%s is an origin", (entry) => {
  expect(originProblem(entry)).toBeUndefined();
});

test.each([
  ["https://app.example/", "https://app.example"],
  ["https://*.app.example/", "https://*.app.example"],
  ["https://app.example/chat?x#y", "https://app.example"],
  ["https://app.example:443", "https://app.example"],
  ["http://app.example:80/", "http://app.example"],
  ["https://*.app.example:443", "https://*.app.example"],
  ["app.example", "https://app.example"],
  ["app.example:8443", "https://app.example:8443"],
  ["*.app.example", "https://*.app.example"],
  ["//a.example", "https://a.example"],
  ["https:/a.example", "https://a.example"],
  ["%", "https://app.example"],
  ["wss://app.example", "https://app.example"],
  ["ws://app.example:8080", "http://app.example:8080"],
  ["https://bücher.example", "https://xn--bcher-kva.example"],
  ["http://[0:0:0:0:0:0:0:1]", "http://[::1]"],
  ["https://app.example:08443", "https://app.example:8443"],
  ["capacitor://localhost/", "capacitor://localhost"],
])("%s is answered with what to write: %s", (entry, suggestion) => {
  const problem = originProblem(entry);

  expect(problem).toMatch(new RegExp(`^write ${suggestion.replaceAll(/[*.[\]]/g, "\\$&")}[ ,:]`));
  expect(originProblem(suggestion)).toBeUndefined();
});

test.each([
  ["https://a.example;https://b.example", "commas"],
  ["https://a.example https://b.example", "commas"],
  ['"https://a.example', "without quotes"],
  ["'https://a.example'", "without quotes"],
  ["`https://a.example`", "without quotes"],
  ["[https://a.example", "without quotes"],
  ["https://a.example]", "without quotes"],
  ["https://app.*.example", "first label"],
  ["https://*app.example", "first label"],
  ["https://*", "first label"],
  ["https://app.example:*", "first label"],
  ["https://app.example:99999", "is no origin"],
  ["https://", "is no origin"],
  ["https://*.", "is no origin"],
  ["https://*.:8443", "is no origin"],
])("%s is refused: %s", (entry, reason) => {
  expect(originProblem(entry)).toContain(reason);
});

test("a password is not repeated", () => {
  const problem = originProblem("https://anna:hunter2@app.example");

  expect(problem).toBe("write https://app.example, as browsers send it, instead of https://…@app.example");
});

test("an accepted entry allows pages of that origin, and no text makes the check throw", () => {
  const host = fc.tuple(fc.constantFrom("https://", "http://"), fc.domain(), fc.constantFrom("", ":8443", ":443", "/"));

  fc.assert(
    fc.property(host, ([scheme, domain, rest]) => {
      const entry = `${scheme}${domain}${rest}`;
      if (originProblem(entry) === undefined) expect(isAllowedOrigin(new URL(entry).origin, [entry]), entry).toBe(true);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (entry) => void originProblem(entry)),
    { numRuns: 5_000 },
  );
});
