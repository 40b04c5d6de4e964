import { expect, test } from "vitest";
import { RefusalLog } from "./refusal-log.ts";

test("a code and route has one line in ten seconds, with the number of requests since the last one", () => {
  const lines: object[] = [];
  let now = 0;
  const log = { info: (fields: object) => void lines.push(fields) };
  // The logger has more signatures, of which the class uses one.
  const refusals = new RefusalLog(log as never, () => now);
  const add = (code: "unauthorized" | "invalid_request", route: string, field?: string) =>
    refusals.add({ code, route, remoteAddress: "127.0.0.1", field });

  for (let count = 0; count < 3; count++) add("unauthorized", "/v1/cluster");
  add("unauthorized", "/");
  add("invalid_request", "/v1/publications", "target.topic");
  now = 10_000;
  add("unauthorized", "/v1/cluster");

  expect(lines).toMatchObject([
    { status: 401, code: "unauthorized", route: "/v1/cluster", requests: 1, remoteAddress: "127.0.0.1" },
    { status: 401, route: "/", requests: 1 },
    { status: 422, field: "target.topic", requests: 1, reason: expect.stringContaining("not valid") },
    { route: "/v1/cluster", requests: 3 },
  ]);
});

test("an unknown address and an error of the server are not refusals", () => {
  const lines: object[] = [];
  const refusals = new RefusalLog({ info: (fields: object) => void lines.push(fields) } as never);

  for (const code of ["connection_not_found", "nats_unavailable", "internal"] as const) {
    refusals.add({ code, route: "/v1/publications", remoteAddress: undefined });
  }

  expect(lines).toEqual([]);
});
