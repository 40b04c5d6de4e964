import { Absent, type Server } from "./server.ts";

export const soketi: Server = {
  name: "soketi",
  summary: "peer: soketi, another server of the Pusher protocol",
  start: () =>
    Promise.reject(
      new Absent("soketi takes uWebSockets.js from a git address, so that npm installs it only where that is reached"),
    ),
};
