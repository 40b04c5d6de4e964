import fc from "fast-check";
import { expect, test } from "vitest";
import { pusherTarget } from "./request-target.ts";

test.each([
  ["/apps/1/events?a=b", { route: "/apps/-/events", path: "/apps/1/events", query: "a=b", appId: "1", name: "" }],
  ["/apps/1/batch_events", { route: "/apps/-/batch_events", path: "/apps/1/batch_events", query: "" }],
  ["/apps/1/channels?info=x?y", { route: "/apps/-/channels", path: "/apps/1/channels", query: "info=x?y" }],
  ["/apps/1/channels/a%40b", { route: "/apps/-/channels/-", path: "/apps/1/channels/a%40b", name: "a%40b" }],
  ["/apps/1/channels/users/users", { route: "/apps/-/channels/-/users", name: "users" }],
  ["/a/b/apps/1/events?x", { route: "/apps/-/events", path: "/apps/1/events", query: "x" }],
  ["HTTP://host:80/apps/1/events?x", { route: "/apps/-/events", path: "/apps/1/events", query: "x" }],
  ["/apps/prod/apps/1/events", { route: "/apps/-/events", path: "/apps/1/events", appId: "1" }],
  [
    "/apps/1/users/u/terminate_connections?q",
    {
      route: "/apps/-/users/-/terminate_connections",
      path: "/apps/1/users/u/terminate_connections",
      query: "q",
      name: "u",
    },
  ],
  ["/apps/1/users/a/b?c/terminate_connections?q=1", { name: "a/b?c", query: "q=1" }],
  ["/apps/1/users//terminate_connections/terminate_connections", { name: "/terminate_connections", query: "" }],
  ["/users/u/terminate_connections?q", { route: "/users/-/terminate_connections", appId: undefined, name: "u" }],
  ["/pre/users/u/terminate_connections", { path: "/users/u/terminate_connections", name: "u" }],
])("%s is a target of the Pusher HTTP API", (target, expected) => {
  expect(pusherTarget(target)).toMatchObject(expected);
});

test.each([
  "/",
  "/apps/1",
  "/apps/1/",
  "/apps//events",
  "/apps/1/events/",
  "/apps/1/event",
  "/apps/1/channels/",
  "/apps/1/channels/a/b",
  "/apps/1/channels/a/users/b",
  "/apps/1/channels//users",
  "/apps/1/users/u",
  "/apps/1/users/terminate_connections",
  "/apps/1/users//terminate_connections",
  "/apps/1?/events",
  "/?content=/apps/1/events",
  "/v1/topics/apps/1/events",
  "/v1/users/u/terminate_connections",
  "http://host/v1/topics/apps/1/events",
])("%s is none", (target) => {
  expect(pusherTarget(target)).toBeUndefined();
});

test("any target is read without an error, and the parts of one that is found are those of the target", () => {
  const part = fc.constantFrom(..."/apps/ 1 /events /channels /users/ /terminate_connections ? a / %".split(" "));

  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const target = parts.join("");
      const found = pusherTarget(target);
      if (found === undefined) return;
      expect(
        target.endsWith(found.query === "" ? found.path : `${found.path}?${found.query}`) || target.endsWith("?"),
      ).toBe(true);
      expect(found.path).toContain(found.name);
    }),
  );
});
