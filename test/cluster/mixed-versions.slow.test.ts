import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPublisher, startPusher, type TestPublisher, type TestPusher } from "../support/cluster.ts";
import { connectFanwire, type FanwireClient } from "../support/fanwire-client.ts";
import { callApi, postPublication } from "../support/http-api.ts";
import { connectPresence } from "../support/presence-client.ts";
import { checkOutPreviousRelease, missingPreviousRelease, type PreviousRelease } from "../support/previous-release.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher } from "../support/pusher-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

if (missingPreviousRelease !== undefined) console.warn(`Mixed versions are not tested: ${missingPreviousRelease}.`);

const RELEASES = ["previous", "present"] as const;
type Release = (typeof RELEASES)[number];
const other = (release: Release): Release => (release === "previous" ? "present" : "previous");

describe.skipIf(missingPreviousRelease !== undefined)(
  "services of this release beside those of the previous one",
  () => {
    const { nats } = useCluster();
    const pushers = {} as Record<Release, TestPusher>;
    const publishers = {} as Record<Release, TestPublisher>;
    let checkedOut: PreviousRelease;

    beforeAll(async () => {
      checkedOut = checkOutPreviousRelease();
      const apps = pusherAppsEnv();
      const env = { ...apps, PUSHER_TOKEN_SECRET: SECRET, PUSHER_WORKERS: "1" };
      const start = async (release: Release) => {
        const root = release === "previous" ? { root: checkedOut.root } : {};
        [pushers[release], publishers[release]] = await Promise.all([
          startPusher({ nats: nats.url, env, ...root }),
          startPublisher({ nats: nats.url, env: apps, ...root }),
        ]);
      };
      await Promise.all(RELEASES.map(start));
    });
    afterAll(async () => {
      for (const part of [...Object.values(pushers), ...Object.values(publishers)]) await part[Symbol.asyncDispose]();
      checkedOut[Symbol.dispose]();
    });

    const token = (user: string) => signToken({ sub: user, topics: [">"], presence: [">"] }, { expiresInSeconds: 600 });
    /** A client of each release, subscribed to a topic. */
    const connectBoth = async (topic: string): Promise<Record<Release, FanwireClient>> => {
      const connect = async (release: Release) =>
        connectFanwire(pushers[release].url, { topic, token: await token(release) });
      return { previous: await connect("previous"), present: await connect("present") };
    };
    const get = async <Body>(release: Release, path: string) =>
      (await callApi<Body>(publishers[release], "GET", path)).body;

    test.each(RELEASES)(
      "a publisher of the %s release reaches clients of both, counts them, and lists them",
      async (release) => {
        const topic = `t-${release}`;
        const clients = await connectBoth(topic);
        const publisher = publishers[release];

        const counted = await postPublication(publisher, { target: { topic }, data: "live", receipt: true });
        expect(counted).toMatchObject({ status: 200, body: { receipt: { delivered: 2, complete: true } } });
        for (const each of RELEASES) {
          const { connection } = clients[each].welcome;
          const target = { connection };
          expect(await postPublication(publisher, { target, data: "own" })).toMatchObject({ status: 200 });
          expect(await get(release, `/v1/connections/${connection}`)).toMatchObject({ user: each, topics: [topic] });
          expect(await get(release, `/v1/users/${each}`)).toMatchObject({ connections: expect.anything() });
          const { status } = await callApi(publisher, "PUT", `/v1/connections/${connection}/topics/late-${release}`);
          expect(status).toBe(204);
        }
        await postPublication(publisher, { target: { topic: `late-${release}` }, data: "late" });
        for (const each of RELEASES) {
          await until("everything is received", () => clients[each].data().length >= 3);
          expect(clients[each].data()).toEqual(["live", "own", "late"]);
        }
        expect(await get(release, `/v1/topics/${topic}`)).toMatchObject({ connections: 2 });
        expect(await get(release, `/v1/topics?prefix=${topic}`)).toMatchObject({ topics: [{ topic, connections: 2 }] });
        expect(await get(release, "/v1/cluster")).toMatchObject({ workers: { length: 2 } });
      },
    );

    test("a list that the previous release does not know is incomplete, and never without its connections", async () => {
      await connectBoth("listed");
      for (const path of ["/v1/connections", "/v1/users"]) {
        const { status, body } = await callApi<{ missing?: number; complete?: boolean; total?: number }>(
          publishers.present,
          "GET",
          path,
        );
        expect(status).toBe(200);
        expect(body.missing, path).toBe(1);
        expect(body.complete, path).not.toBe(true);
      }
    });

    test.each(RELEASES)(
      "a client resumes durable publications on the other release after the %s one",
      async (release) => {
        const topic = `d-${release}`;
        const clients = await connectBoth(topic);
        const publisher = publishers[other(release)];
        expect(await postPublication(publisher, { target: { topic }, data: "1", durable: true })).toMatchObject({
          status: 200,
        });
        for (const each of RELEASES) await until("the first is received", () => clients[each].data().length === 1);
        const since = String(clients[release].publications[0]?.position);
        clients[release].socket.terminate();
        await postPublication(publishers[release], { target: { topic }, data: "2", durable: true });

        const resumed = await connectFanwire(pushers[other(release)].url, { topic, since, token: await token("back") });

        expect(resumed.welcome).toMatchObject({ recovered: true });
        await until("the second is received", () => resumed.data().length > 0);
        expect(resumed.data()).toEqual(["2"]);
      },
    );

    test("members on both releases see each other, also over the Pusher protocol", async () => {
      const claims = { topics: ["presence-*"], presence: ["presence-*"] };
      const anna = await connectPresence(pushers.previous, "anna", claims);
      const bob = await connectPresence(pushers.present, "bob", claims);
      await anna.join("presence-room");
      await bob.join("presence-room");
      const pusherClient = await connectPusher(pushers.previous.url);
      await pusherClient.subscribe("presence-room", { user_id: "carol" });

      const everybody = ["anna", "bob", "carol"];
      await until("all see all", () =>
        [anna, bob].every((member) => member.members("presence-room").join() === everybody.join()),
      );
      for (const release of RELEASES) {
        const { members } = await get<{ members: { user: string }[] }>(release, "/v1/topics/presence-room/members");
        expect(members.map(({ user }) => user).sort()).toEqual(everybody);
      }
    });
  },
);
