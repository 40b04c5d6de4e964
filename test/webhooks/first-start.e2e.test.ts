import { expect, test } from "vitest";
import { useCluster } from "../support/use-cluster.ts";
import { useWebhookSenders } from "../support/webhook-senders.ts";

/** Requests for the few records that every leader has. */
const FEW = 10;

const { nats, bus } = useCluster();
const senders = useWebhookSenders(nats, {}, 0);

test("the first webhook sender of a cluster reads no records that do not exist", async () => {
  let reads = 0;
  bus.subscribe("$JS.API.STREAM.MSG.GET.>", () => {
    reads++;
  });
  await bus.confirm();

  await senders.add();
  await senders.leader();

  await bus.confirm();
  expect(reads).toBeLessThan(FEW);
});
