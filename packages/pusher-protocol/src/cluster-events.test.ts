import { expect, test } from "vitest";
import { pusherAppsFrom } from "./apps.ts";
import { wantedEvents } from "./cluster-events.ts";

const wanted = (names: string[], ...apps: object[]) => {
  const described = apps.map((app, at) => ({ id: `${at}`, key: `key-${at}`, secret: "s", ...app }));
  const parsed = pusherAppsFrom({ FANWIRE_PUSHER_APPS: JSON.stringify(described) });
  return [...wantedEvents({ FANWIRE_EVENTS: names }, parsed)].sort();
};
const webhook = (...events: string[]) => ({ webhooks: [{ url: "http://a/", ...(events.length > 0 && { events }) }] });

test("the events that are on are the configured ones and the sources of the apps' webhooks", () => {
  expect(wanted(["topic_occupied", "connection_opened"])).toEqual(["connection_opened", "topic_occupied"]);
  expect(wanted([], webhook("channel_occupied", "cache_miss"), webhook("member_removed"))).toEqual([
    ...["cache_miss", "member_left", "topic_occupied"],
  ]);
  const all = ["cache_miss", "client_published", "member_joined", "member_left", "topic_occupied", "topic_vacated"];
  expect(wanted([], webhook())).toEqual(all);
  expect(wanted([], { ...webhook(), subscriptionCount: true })).toEqual([...all, "subscription_count"].sort());
});
