import { answerCalls } from "../calls.ts";
import { publishPaced } from "../pacer.ts";
import type { BareCalls } from "./bare.ts";
import { startUwsApp } from "./uws-app.ts";

const app = await startUwsApp();

answerCalls<BareCalls>({
  listen: () => ({ port: app.port }),
  publish: (plan) =>
    publishPaced(plan, (contents) => {
      for (const content of contents) app.publish(content);
    }),
});
