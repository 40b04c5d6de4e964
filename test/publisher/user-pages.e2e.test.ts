import { expect, test } from "vitest";
import { connectFanwire } from "../support/fanwire-client.ts";
import { callApi } from "../support/http-api.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

type Described = { readonly address: string; readonly topics: readonly string[]; readonly omittedTopics?: number };
type Page = { readonly count: number; readonly connections: readonly Described[]; readonly next?: string };

const { pushers, publisher } = useCluster({
  nats: "max_payload: 8192",
  pusher: { PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: ">", PUSHER_WORKERS: "1" },
});

const topicsOf = (count: number, length: number) =>
  Array.from({ length: count }, (_, at) => String(at).padEnd(length, "t"));

const call = <Body>(method: string, path: string) => callApi<Body>(publisher, method, path);

async function pagesOf(user: string, limit: string): Promise<Page[]> {
  const pages: Page[] = [];
  for (let after = ""; pages.length < 100; ) {
    const { status, body } = await call<Page>("GET", `/v1/users/${user}?${limit}${after}`);
    expect(status).toBe(200);
    pages.push(body);
    if (body.next === undefined) break;
    after = `&after=${body.next}`;
  }
  return pages;
}

test("a user with more connections than one answer holds is listed page by page and closed completely", async () => {
  const token = await signToken({ sub: "big" });
  const topic = topicsOf(20, 100);
  const clients = await Promise.all(
    Array.from({ length: 30 }, (_, at) => connectFanwire(pushers[at % 2 === 0 ? 0 : 1].url, { token, topic })),
  );
  const addresses = clients.map(({ welcome }) => welcome.connection).sort();

  for (const limit of ["", "limit=1000", "limit=7"]) {
    const pages = await pagesOf("big", limit);
    expect(pages.map(({ count }) => count)).toEqual(pages.map(() => 30));
    expect(pages.length).toBeGreaterThan(1);
    const described = pages.flatMap(({ connections }) => connections);
    expect(described.map(({ address }) => address).sort()).toEqual(addresses);
    for (const { topics } of described) expect(topics).toEqual(topic);
  }
  expect(await call("PUT", "/v1/users/big/topics/more")).toMatchObject({ status: 200, body: { connections: 30 } });
  expect(await call("DELETE", "/v1/users/big/connections")).toMatchObject({ status: 200, body: { connections: 30 } });
  await until("all connections are closed", () => clients.every(({ close }) => close?.code === 4403));
  expect(await call("GET", "/v1/users/big")).toMatchObject({ body: { count: 0, connections: [] } });
});

test("the description of a connection with too many topics has the number of omitted topics", async () => {
  const topic = topicsOf(128, 200);
  const client = await connectFanwire(pushers[0].url, { token: await signToken({ sub: "wide" }), topic });
  const path = `/v1/connections/${client.welcome.connection}`;

  const { status, body } = await call<Described>("GET", path);
  const [page] = await pagesOf("wide", "");
  expect(status).toBe(200);
  expect(body.topics.length + (body.omittedTopics ?? 0)).toBe(128);
  expect(body.topics).toEqual(topic.slice(0, body.topics.length));
  expect(body.topics.length).toBeGreaterThan(0);
  expect(page?.connections).toEqual([{ ...body, unsentBytes: expect.any(Number) }]);
});
