import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { curlOf } from "./curl.ts";

test.each(["it's", '"$HOME" `id` \\', "new\nline"])("a shell passes %j unchanged", (data) => {
  const body = { target: { topic: "a'b" }, data };
  const command = curlOf({ method: "POST", url: "http://localhost/v1/publications", body, needsKey: false });
  const printed = execFileSync("sh", ["-c", command.replace("curl", "printf '%s\\0'")]).toString();
  const args = printed.split("\0").slice(0, -1);
  expect(args.slice(0, 4)).toEqual(["http://localhost/v1/publications", "-H", "Content-Type: application/json", "-d"]);
  expect(JSON.parse(args[4] ?? "")).toEqual(body);
});

test("the key is a variable", () => {
  const command = curlOf({ method: "DELETE", url: "http://h/v1/connections/a.1", needsKey: true });
  expect(command).toBe(`curl -X DELETE 'http://h/v1/connections/a.1' -H "Authorization: Bearer $FANWIRE_KEY"`);
});
