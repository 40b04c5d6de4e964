import { protocolNames } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { clientProtocols } from "./client-protocols.ts";

test("the API knows the name of each protocol in the list, and no others", () => {
  expect(new Set(clientProtocols.map(({ name }) => name))).toEqual(new Set(protocolNames));
});
