import { errors } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { failureOf } from "./failures.ts";

test("only an error of the connection means that NATS cannot be reached", () => {
  for (const error of [
    new errors.ClosedConnectionError(),
    new errors.RequestError("connection disconnected"),
    new errors.RequestError("failed", { cause: new errors.DrainingConnectionError() }),
  ]) {
    expect(failureOf(error), String(error)).toMatchObject({ reason: "unavailable", isPassing: true });
  }
  for (const error of [new SyntaxError("no JSON"), "no JSON"]) {
    const detail = "unexpected error: no JSON";
    expect(failureOf(error)).toEqual({ ok: false, reason: "unusable", detail, isPassing: true });
  }
});
