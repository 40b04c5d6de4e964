import { type AddressInfo, createServer, type Socket } from "node:net";
import { answerCalls } from "../calls.ts";
import { publishPaced } from "../pacer.ts";
import type { PlainCalls } from "./calls.ts";
import { eventFrame } from "./wire.ts";

/** The baseline of a channel server: writes the same bytes to the same sockets, and does nothing else. */
const sockets: Socket[] = [];
const server = createServer({ noDelay: true }, (socket) => {
  sockets.push(socket);
  // Any frame that is no event of the bench shows the subscriber that it is connected.
  socket.once("data", () => socket.write(Buffer.from([0, 0, 0, 4])));
});

answerCalls<PlainCalls>({
  listen: () =>
    new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve({ port: (server.address() as AddressInfo).port })); // TCP has one
    }),
  publish: (plan) =>
    publishPaced(plan, (contents) => {
      for (const content of contents) {
        const frame = eventFrame(content);
        for (const socket of sockets) socket.write(frame);
      }
    }),
});
