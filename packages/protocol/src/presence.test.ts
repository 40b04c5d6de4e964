import { expect, test } from "vitest";
import { presenceAnnouncement } from "./presence.ts";

const announcementOf = (info: string) =>
  JSON.parse(
    `{"worker":"abcd1234","previous":0,"counter":1,"joined":[{"user":"u","since":1,"info":${info}}],"left":[]}`,
  );

test.each([
  ["small", '{"name":"Anna"}', true],
  ["null", "null", true],
  ["longer than that of a token", `"${"x".repeat(1_023)}"`, false],
  ["nested so deeply that it has no JSON text", "[".repeat(12_000) + "]".repeat(12_000), false],
])("the info of a member is one that a token may have: %s", (_, info, isValid) => {
  expect(presenceAnnouncement.safeParse(announcementOf(info)).success).toBe(isValid);
});
