import { answerCalls } from "../calls.ts";
import { forwardNats } from "./forward-nats.ts";
import type { OverNatsCalls } from "./own-process.ts";
import { startUwsApp } from "./uws-app.ts";

answerCalls<OverNatsCalls>({
  listen: async (source) => {
    const app = await startUwsApp();
    await forwardNats(source, (content) => app.publish(content));
    return { port: app.port };
  },
});
