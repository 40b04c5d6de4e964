import type { Bus } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { expect, test } from "vitest";
import { TraceReports } from "./trace-reports.ts";

const [ONE, OTHER] = ["aaaaaaaa", "bbbbbbbb"];

/** Opens a trace. `renew` renews its lease, and these workers answer. */
async function openReports(...workers: string[]) {
  let answering = workers;
  const missed: (number | null)[] = [];
  const bus = {
    subscribe: (subject: string) => ({ subject, unsubscribe: () => {}, endAfter: () => {} }),
    send: () => "sent",
    gather: async () => ({
      ok: true,
      messages: answering.map((worker) => ({
        subject: "",
        data: Buffer.from(JSON.stringify({ worker })),
        respond: () => false,
      })),
    }),
  } as unknown as Bus;
  const reports = new TraceReports({
    bus,
    subjects: new Subjects(),
    log: createLog("test", "silent"),
    filter: {},
    kinds: ["connection"],
    receive: () => {},
    missed: (events) => missed.push(events),
  });
  await reports.start();
  const renew = (...others: string[]) => {
    answering = others;
    return reports.renew();
  };
  return { reports, missed, renew };
}

test("events of a worker that answers no longer may be missing, which is reported once", async () => {
  const { missed, renew } = await openReports(ONE, OTHER);

  await renew(ONE, OTHER);
  expect(missed).toEqual([]);
  await renew(ONE);
  await renew(ONE);
  expect(missed).toEqual([null]);
});

test("a worker that has announced its end, and one that starts, leave nothing out", async () => {
  const { reports, missed, renew } = await openReports(ONE);

  reports.ended(ONE);
  await renew(OTHER);
  await renew(OTHER);
  expect(missed).toEqual([]);
});
