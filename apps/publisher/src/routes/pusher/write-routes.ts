import { userOf } from "@fanwire/pusher-protocol";
import type { Context } from "hono";
import { copiedBytes } from "../../cluster/publish-request.ts";
import type { Api, ApiParts, Env } from "../../http/api.ts";
import { ApiError } from "../../http/errors.ts";
import { throwFailure } from "../failures.ts";
import { type ChannelInfo, channelInfos, countConnections } from "./channel-counts.ts";
import { batchEvents, routed, terminateByKey, terminateUser, triggerEvent } from "./descriptions.ts";
import { EventPublisher } from "./event-publisher.ts";
import { type EventRequest, readBatch, readEvent } from "./event-request.ts";
import { invalid } from "./invalid-request.ts";
import { type PusherRequest, type SignedRequests, userIdOf } from "./signed-requests.ts";

/** Adds the routes that publish events and close connections. */
export function addWriteRoutes(api: Api, parts: ApiParts, requests: SignedRequests): void {
  const { bodies, cluster, history } = parts;
  const events = new EventPublisher({ publisher: cluster.publisher, history });
  routed(api, triggerEvent, async (c) => {
    const request = await requests.read(c);
    const event = readEvent(request.app, await requests.fieldsOf(request));
    bodies.addCopies(c.env, copiedBytes(event.content, event.channels.length));
    await events.publish([event]);
    if (event.info === undefined) return c.json({});
    const infos = await infosOf(parts, request, event);
    return c.json({ channels: Object.fromEntries(event.channels.map(({ name }, at) => [name, infos[at] ?? {}])) });
  });
  routed(api, batchEvents, async (c) => {
    const request = await requests.read(c);
    const batch = readBatch(request.app, await requests.fieldsOf(request));
    await events.publish(batch);
    if (batch.every(({ info }) => info === undefined)) return c.json({});
    const infos = await Promise.all(batch.map((event) => infosOf(parts, request, event)));
    return c.json({ batch: infos.map(([info]) => info ?? {}) });
  });
  const terminate = async (c: Context<Env>) => {
    const request = await requests.read(c);
    await closeUser(parts, request);
    return c.json({});
  };
  routed(api, terminateUser, terminate);
  routed(api, terminateByKey, terminate);
}

/**
 * Returns the attributes that an event asks for, in the order of its channels. Those that are not known are left out,
 * because the event was published.
 */
async function infosOf(
  { cluster }: ApiParts,
  { app }: PusherRequest,
  event: EventRequest,
): Promise<readonly ChannelInfo[]> {
  const { info, channels } = event;
  if (info === undefined) return [];
  const topics = channels.filter(({ target }) => target.kind === "topic").map(({ name }) => name);
  const counted = await countConnections(cluster, app, topics);
  if (!counted.ok) return [];
  const found = await channelInfos(cluster, app, { channels: counted.channels, wanted: info });
  if (!found.ok) return [];
  const byName = new Map(topics.map((name, at) => [name, found.infos[at] ?? {}]));
  return channels.map(({ name }) => byName.get(name) ?? {});
}

async function closeUser({ cluster }: ApiParts, request: PusherRequest): Promise<void> {
  const { app } = request;
  const user = userOf(app, userIdOf(request));
  if (user === undefined) throw invalid({ field: "user_id" }, "must be a user id of 1 to 255 bytes");
  const closed = await cluster.commandUser({ command: "close-user", user, code: app.terminateCode });
  if (!closed.ok) return throwFailure(closed);
  if (closed.isComplete) return;
  throw new ApiError("worker_timeout", {
    message: "Not all workers that may run have answered, so connections of the user may be open. Retry later.",
  });
}
