import { expect, test } from "vitest";
import { errorOf, usePublisher } from "../testing.ts";

const { url, startAnother } = usePublisher();

test("an answer to a command that some workers missed does not claim that it was done for all connections of the others", async () => {
  await using publisher = await startAnother({ PUBLISHER_REQUEST_TIMEOUT_MS: "100" });

  // The workers of these tests do not answer this command.
  const refused = await fetch(url("/v1/users/anna/topics/a", publisher), { method: "PUT" });

  expect(refused.status).toBe(503);
  expect(await errorOf(refused)).toEqual({
    code: "worker_timeout",
    message: expect.stringMatching(/^Workers with 0 connections of the user have answered\. Others .* Retry later\.$/),
  });
});
