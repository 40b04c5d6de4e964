import { expect, test } from "vitest";
import { createLog } from "./log.ts";

test("a log line is JSON with the name of its level, the service, and the time in ISO 8601", () => {
  const lines: unknown[] = [];
  const log = createLog("pusher", "info", { write: (line) => void lines.push(JSON.parse(line)) });

  log.debug("hidden");
  log.info({ port: 1 }, "ready");

  const time: unknown = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  expect(lines).toEqual([{ level: "info", time, service: "pusher", port: 1, msg: "ready" }]);
});
