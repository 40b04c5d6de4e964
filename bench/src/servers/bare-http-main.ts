import { once } from "node:events";
import { createAdaptorServer } from "@hono/node-server";
import { connect } from "@nats-io/transport-node";
import { Hono } from "hono";
import { answerCalls } from "../calls.ts";
import type { OverNatsCalls } from "./own-process.ts";
import { portOf } from "./ports.ts";

/** Minimum cost of a publish API: the libraries of the publisher, without validation or confirmation. */
answerCalls<OverNatsCalls>({
  listen: async ({ natsUrl, subject }) => {
    const nats = await connect({ servers: natsUrl });
    const app = new Hono();
    app.post("/v1/publications", async (context) => {
      const { data } = await context.req.json<{ data: string }>();
      nats.publish(subject, data);
      return context.json({ ok: true });
    });
    const server = createAdaptorServer({ fetch: app.fetch });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return { port: portOf(server) };
  },
});
