import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { rawProtocol, startPusher } from "./pusher.ts";
import type { Server } from "./server.ts";
import { startService } from "./service.ts";

/** The pusher, and a publisher with an open trace of everything, which is read. */
export const pusherTraced: Server = {
  name: "pusher-traced",
  summary: "the raw protocol, while a publisher shows a live trace of everything",
  start: async (lab) => {
    const pusher = await startPusher(lab, { dialect: rawProtocol });
    const publisher = await startService(lab, "publisher");
    const trace = await openTrace(publisher.port);
    return {
      ...pusher,
      stop: async () => {
        trace.destroy();
        await Promise.all([pusher.stop(), publisher.stop()]);
      },
    };
  },
};

async function openTrace(port: number): Promise<IncomingMessage> {
  const request = get(`http://127.0.0.1:${port}/v1/trace`);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`the trace was answered with ${response.statusCode}`);
  response.on("error", () => {}); // the bench closes it
  return response.resume();
}
