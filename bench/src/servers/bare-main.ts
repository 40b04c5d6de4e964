import { answerCalls } from "../calls.ts";
import { publishPaced } from "../pacer.ts";
import type { SelfFedCalls } from "./own-process.ts";
import { startUwsApp } from "./uws-app.ts";

const app = await startUwsApp();

answerCalls<SelfFedCalls>({
  listen: () => ({ port: app.port }),
  publish: (plan) =>
    publishPaced(plan, (contents) => {
      for (const content of contents) app.publish(content);
    }),
});
