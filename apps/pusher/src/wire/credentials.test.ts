import { expect, test } from "vitest";
import { readBearer, readSubprotocols } from "./credentials.ts";

test.each([
  [[], [], []],
  [["fanwire.v1"], ["fanwire.v1"], []],
  [["chat , fanwire.v1,token.a.b.c"], ["chat", "fanwire.v1", "token.a.b.c"], ["a.b.c"]],
  [["token.a.b.c", "fanwire.v1"], ["token.a.b.c", "fanwire.v1"], ["a.b.c"]],
  [["token.a, token.b"], ["token.a", "token.b"], ["a", "b"]],
  [["Fanwire.v1, tokens.a, token"], ["Fanwire.v1", "tokens.a", "token"], []],
  [[",, ,fanwire.v1,token."], ["", "", "", "fanwire.v1", "token."], [""]],
])("subprotocols %j", (lines, names, tokens) => {
  expect(readSubprotocols(lines)).toEqual({ names, tokens });
});

test.each([
  ["", []],
  ["Bearer a.b.c", ["a.b.c"]],
  ["bearer   a.b.c ", ["a.b.c"]],
  ["Bearer a b", ["a b"]],
  ["Bearer", [""]],
  ["Bearer ", [""]],
  ["BearerX a", []],
  ["Basic YTpi", []],
])("Authorization: %s", (authorization, tokens) => {
  expect(readBearer(authorization)).toEqual(tokens);
});
