import type { Api, ApiParts } from "../../http/api.ts";
import { throwFailure } from "../failures.ts";
import { readCachedEvent } from "./cached-event.ts";
import { channelInfos, countConnections } from "./channel-counts.ts";
import { ChannelLists } from "./channel-list.ts";
import { readChannelInfo, readChannelName, readListRequest, readPresenceChannel } from "./channel-requests.ts";
import { findChannel, listChannels, listUsers, routed } from "./descriptions.ts";
import { usersOf } from "./members.ts";
import type { SignedRequests } from "./signed-requests.ts";

/** Adds the routes that read the state of channels. */
export function addReadRoutes(api: Api, parts: ApiParts, requests: SignedRequests): void {
  const { cluster } = parts;
  const lists = new ChannelLists(cluster);
  routed(api, listChannels, async (c) => {
    const { app, query } = await requests.read(c);
    const text = await lists.read(app, readListRequest(query));
    return c.body(text, 200, { "Content-Type": "application/json" });
  });
  routed(api, findChannel, async (c) => {
    const { app, query, name } = await requests.read(c);
    const channel = readChannelName(name);
    const wanted = readChannelInfo(query, channel);
    const counted = await countConnections(cluster, app, [channel]);
    if (!counted.ok) return throwFailure(counted);
    const found = await channelInfos(cluster, app, { channels: counted.channels, wanted });
    if (!found.ok) return throwFailure(found);
    const cached = wanted.has("cache") ? await readCachedEvent(parts, app, channel) : undefined;
    if (cached?.ok === false) return throwFailure(cached);
    const occupied = counted.channels.some(({ connections }) => connections > 0);
    return c.json({ occupied, ...found.infos[0], ...(cached && { cache: cached.cache }) });
  });
  routed(api, listUsers, async (c) => {
    const { app, name } = await requests.read(c);
    const users = await usersOf(cluster, app, readPresenceChannel(name));
    if (!users.ok) return throwFailure(users);
    return c.json({ users: users.users.map((id) => ({ id })) });
  });
}
