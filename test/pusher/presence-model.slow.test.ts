import { expect, test } from "vitest";
import { Random } from "../chaos/random.ts";
import { connectPresence } from "../support/presence-client.ts";
import { PresenceModel } from "../support/presence-model.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";

const ROUNDS = Number(process.env.FANWIRE_PRESENCE_ROUNDS ?? 4);
const STEPS = 60;
/** Time within which the members are known by all after a fault, as promised. */
const PROMISED_MS = 10_000;

const env = { PUSHER_TOKEN_SECRET: SECRET, PUSHER_PRESENCE_LEAVE_SECONDS: "1", PUSHER_WORKERS: "1" };
const { nats, pushers, publisher } = useCluster({ pusher: env });

test("after random joins, leaves and faults all see exactly who is there", async () => {
  const seed = Number(process.env.FANWIRE_PRESENCE_SEED ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`seed ${seed}`);
  const stable = await Promise.all(pushers.map((pusher, at) => connectPresence(pusher, `stable-${at}`)));
  for (const client of stable) await client.join("stable");
  await using model = await PresenceModel.start({
    nats,
    env,
    random: new Random(seed),
    stable: pushers,
    publisher,
  });

  for (let round = 0; round < ROUNDS; round++) {
    await model.round(STEPS);
    await model.untilTrue(PROMISED_MS);
  }

  // Faults of other workers, and a short one of NATS, never make a member leave whose connection stays open.
  const changes = stable.flatMap((client) => client.changes("stable"));
  expect(changes.filter((change) => change.startsWith("-"))).toEqual([]);
}, 300_000);
