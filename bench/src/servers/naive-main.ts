import { answerCalls } from "../calls.ts";
import { followNats } from "./follow-nats.ts";
import type { OverNatsCalls } from "./own-process.ts";
import { startUwsApp } from "./uws-app.ts";

answerCalls<OverNatsCalls>({
  listen: async (source) => {
    const app = await startUwsApp();
    await followNats(source, (content) => app.publish(content));
    return { port: app.port };
  },
});
