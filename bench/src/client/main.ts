import { answerCalls } from "../calls.ts";
import type { ClientCalls } from "./calls.ts";
import { ClientPool } from "./client-pool.ts";

let pool: ClientPool | undefined;

function opened(): ClientPool {
  if (pool === undefined) throw new Error("nothing has been opened yet");
  return pool;
}

answerCalls<ClientCalls>({
  open: async (plan) => {
    pool = new ClientPool(plan);
    await pool.open();
    return null;
  },
  expect: (expectation) => {
    opened().expect(expectation);
    return null;
  },
  settle: ({ quietMs }) => opened().settle(quietMs),
});

process.once("SIGTERM", () => {
  pool?.close();
  process.exit();
});
