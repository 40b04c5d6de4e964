import { expect, test } from "vitest";
import { errorOf, usePublisher } from "../testing.ts";

const { worker, url } = usePublisher();

test("a connection can be described, checked and closed", async () => {
  const path = url("/v1/connections/worker01.1");

  const found = await fetch(path);
  expect([found.status, await found.json()]).toEqual([200, worker.connection()]);
  expect((await fetch(path, { method: "HEAD" })).status).toBe(200);
  expect((await fetch(path, { method: "DELETE" })).status).toBe(204);
  expect(worker.closed).toEqual([1]);
});

test("an unknown address is 404, an invalid one 422", async () => {
  for (const method of ["GET", "HEAD", "DELETE"]) {
    for (const [address, status] of [
      ["worker01.2", 404],
      ["worker99.1", 404],
      ["worker1.1", 422],
      ["worker01.*", 422],
    ]) {
      const response = await fetch(url(`/v1/connections/${address}`), { method });
      expect(response.status, `${method} ${address}`).toBe(status);
    }
  }
});

test("an address of a Workerman worker is 422, except for publications", async () => {
  for (const [method, path] of [
    ["GET", "7.1"],
    ["HEAD", "7.1"],
    ["DELETE", "7.1"],
    ["PUT", "7.1/topics/a"],
    ["DELETE", "7.1/topics/a"],
  ] as const) {
    const response = await fetch(url(`/v1/connections/${path}`), { method });
    expect(response.status, `${method} ${path}`).toBe(422);
    if (method === "HEAD") continue;
    const message = expect.stringContaining("a connection to a Workerman worker can only be published to");
    expect((await errorOf(response)).details).toEqual([{ field: "address", message }]);
  }
});

test.each([
  "connections?usr=anna",
  "users?order=busiest&serch=a",
  "topics?prefx=a",
  "users/anna?limt=1",
  "topics/a/publications?from=1",
  "topics/a/members?topic=b",
])(
  "a parameter that the route does not know is refused, because the caller may have misspelt a filter: %s",
  async (path) => {
    const response = await fetch(url(`/v1/${path}`));

    expect(response.status).toBe(422);
    expect(await errorOf(response)).toMatchObject({ details: { 0: { message: expect.stringMatching(/unknown/) } } });
  },
);
