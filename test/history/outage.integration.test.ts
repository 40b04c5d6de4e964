import { withTimeout } from "@fanwire/bus";
import { expect, test } from "vitest";
import { everyone } from "../support/durable.ts";
import { openHistory } from "../support/history.ts";
import { append, appended, contents, replay } from "../support/history-calls.ts";
import { accepts, startNats } from "../support/nats.ts";
import { until } from "../support/wait.ts";

test("an append fails while NATS is unavailable and waits for its restart, what is stored remains, and the epoch stays the same", async () => {
  await using nats = await startNats();
  await using opened = await openHistory({ servers: [nats.url] });
  const before = await appended(opened, everyone, "before");

  await nats.stop();
  await until("the loss is detected", () => !opened.bus.health().alive);
  expect(await opened.history.state()).toMatchObject({ ok: false, reason: "unavailable" });
  const startedAt = performance.now();
  expect(await append(opened, everyone, "refused")).toMatchObject({ ok: false, reason: "unavailable" });
  expect(performance.now() - startedAt).toBeLessThan(4_000);
  const waiting = append(opened, everyone, "during");
  await nats.restart();

  expect(await appended(opened, everyone, "after")).toMatchObject({ epoch: before.epoch });
  expect(await waiting).toMatchObject({ ok: true });
  const { publications, isComplete } = await replay(opened, everyone, { ...before, sequence: 0 });
  expect(contents(publications).sort()).toEqual(["after", "before", "during"]);
  expect(isComplete).toBe(true);
});

test("an append without an acknowledgement fails as unconfirmed", async () => {
  await using nats = await startNats();
  await using opened = await openHistory({ servers: [nats.url] });
  await appended(opened, everyone, "before");

  nats.signal("SIGSTOP");
  await until("the process hangs", async () => !(await withTimeout(200, accepts(nats.port))));
  const outcome = await append(opened, everyone, "x");
  nats.signal("SIGCONT");

  expect(outcome).toMatchObject({ ok: false, reason: "unconfirmed" });
});
