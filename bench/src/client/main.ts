import { answerCalls } from "../calls.ts";
import type { ClientCalls } from "./calls.ts";
import { LoadCrowd } from "./crowd.ts";

let crowd: LoadCrowd | undefined;

function opened(): LoadCrowd {
  if (crowd === undefined) throw new Error("nothing has been opened yet");
  return crowd;
}

answerCalls<ClientCalls>({
  open: async (plan) => {
    crowd = new LoadCrowd(plan);
    await crowd.open();
    return null;
  },
  expect: (expectation) => {
    opened().expect(expectation);
    return null;
  },
  settle: ({ quietMs }) => opened().settle(quietMs),
});

process.once("SIGTERM", () => {
  crowd?.close();
  process.exit();
});
