import { expect, test } from "vitest";
import { parseRoute, routeHash } from "./route.ts";

test.each([
  ["topics", "a/b?c#d e%", { search: "x&y=z" }],
  ["connections", "k3v9q0xa.1", {}],
  ["overview", undefined, {}],
] as const)("the route %s %s survives as a fragment", (tab, name, query) => {
  expect(parseRoute(routeHash(tab, name, query))).toEqual({ tab, name, query });
});

test.each(["", "#", "#nothing", "#try/%E0%A4%A"])("the fragment %j shows the first tab", (hash) => {
  expect(parseRoute(hash)).toEqual({ tab: "try", name: undefined, query: {} });
});
