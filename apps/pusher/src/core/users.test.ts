import { expect, test } from "vitest";
import { Users } from "./users.ts";

test("a user has all its connections, and none is left behind", () => {
  const users = new Users();
  users.attach("anna", 1);
  users.attach("anna", 2);
  users.attach("bob", 3);

  expect([...users.connectionsOf("anna")]).toEqual([1, 2]);
  users.detach("anna", 1);
  users.detach("anna", 1);
  users.detach("bob", 1);
  expect([...users.connectionsOf("anna")]).toEqual([2]);
  users.detach("anna", 2);
  users.detach("bob", 3);
  expect(users.size).toBe(0);
  expect([...users.connectionsOf("anna")]).toEqual([]);
});
