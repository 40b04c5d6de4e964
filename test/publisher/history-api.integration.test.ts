import { expect, test } from "vitest";
import { startPublisher } from "../support/cluster.ts";
import { callApi, postPublication } from "../support/http-api.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const {
  nats,
  history: opened,
  publisher,
} = useCluster({ history: { maxPerSubject: 20 }, publisher: { FANWIRE_HISTORY_MAX_PER_SUBJECT: "20" } });

type Stored = {
  position: string;
  topic: string;
  event: string;
  data: string;
  encoding?: string;
  id?: string;
  time: string;
};
type History = { publications: Stored[]; position: string; complete: boolean };

async function publish(body: unknown): Promise<Record<string, unknown>> {
  const answer = await postPublication<object>(publisher, body);
  return { http: answer.status, ...answer.body };
}

const publishTo = (topic: string, data: string, more: object = {}) =>
  publish({ target: { topic }, data, durable: true, ...more });

async function history(topic: string, query = ""): Promise<History> {
  const path = `/v1/topics/${encodeURIComponent(topic)}/publications${query}`;
  const { status, body } = await callApi<History>(publisher, "GET", path);
  expect(status).toBe(200);
  return body;
}

const sequenceOf = (position: unknown) => Number(String(position).split("-")[1]);

test("a durable publication is stored, delivered live, and read unchanged", async () => {
  const received: string[] = [];
  opened.bus.subscribe(opened.subjects.liveTopics("kept.*"), ({ data, headers }) => {
    received.push(`${Buffer.from(data)} ${headers?.get("Event")} ${headers?.get("Nats-Sequence")}`);
  });
  await opened.bus.confirm();

  const text = await publishTo("kept.a", "привет", { event: "paid", id: "7" });
  const bytes = await publishTo("kept.a", "/wA=", { encoding: "base64" });
  const page = await history("kept.a");

  await until("both publications arrive", () => received.length === 2);
  expect(text).toEqual({ http: 200, status: "stored", position: expect.stringMatching(/^[a-z0-9]+-[1-9][0-9]*$/) });
  expect(received[0]).toBe(`привет paid ${sequenceOf(text.position)}`);
  expect(page).toEqual({
    publications: [
      { position: text.position, topic: "kept.a", event: "paid", data: "привет", id: "7", time: expect.any(String) },
      {
        position: bytes.position,
        topic: "kept.a",
        event: "message",
        data: "/wA=",
        encoding: "base64",
        time: expect.any(String),
      },
    ],
    position: bytes.position,
    // Other topics began the history, but it shows that nothing of this topic came before.
    complete: true,
  });
  expect(Math.abs(Date.parse(page.publications[0]?.time ?? "") - Date.now())).toBeLessThan(60_000);
});

test("deduplication: a retry with the same id is idempotent, and stored once for each target", async () => {
  const first = await publishTo("once", "x", { id: "42" });
  const again = await publishTo("once", "x", { id: "42" });
  const toUser = await publish({ target: { user: "anna" }, data: "x", durable: true, id: "42" });

  expect(again).toEqual({ ...first, duplicate: true });
  expect(toUser).toEqual({ http: 200, status: "stored", position: expect.any(String) });
  expect((await history("once")).publications.length).toBe(1);
});

test("deduplication: a publication to several topics is stored once for each topic under one id", async () => {
  const request = { target: { topics: ["several.b", "several.a"] }, data: "x", durable: true, id: "9" };
  const first = await publish(request);
  const again = await publish(request);

  const positions = [await history("several.b"), await history("several.a")].map(({ publications }) => publications[0]);
  expect(first).toMatchObject({ http: 200, status: "stored", positions: positions.map((each) => each?.position) });
  expect(first.position).toBe([...(first.positions as string[])].sort((a, b) => sequenceOf(b) - sequenceOf(a))[0]);
  expect(again).toEqual({ ...first, duplicate: true });
  expect((await history("several.a")).publications.length).toBe(1);
});

test("each page of the history continues the page before", async () => {
  for (let n = 0; n < 15; n++) await publishTo("pages", String(n));

  const data: string[] = [];
  let since = "";
  for (;;) {
    const page = await history("pages", `?limit=4${since && `&since=${since}`}`);
    expect(page.complete).toBe(true);
    if (page.publications.length === 0) break;
    data.push(...page.publications.map((publication) => publication.data));
    since = page.position;
  }

  expect(data).toEqual(Array.from({ length: 15 }, (_, n) => String(n)));
  await publishTo("pages", "later");
  expect((await history("pages", `?since=${since}`)).publications.map((publication) => publication.data)).toEqual([
    "later",
  ]);
});

test("a page after dropped publications, or from a foreign or future position, is not complete", async () => {
  const [first] = [await publishTo("dropped", "0")];
  for (let n = 1; n <= 20; n++) await publishTo("dropped", String(n));

  const missed = await history("dropped", `?since=${first.position}`);
  expect([missed.publications.length, missed.complete]).toEqual([20, false]);
  expect((await history("dropped")).complete).toBe(false);
  expect((await history("dropped", "?limit=5")).complete).toBe(false);
  const [second] = missed.publications;
  expect((await history("dropped", `?since=${second?.position}`)).complete).toBe(true);
  expect((await history("dropped", `?since=${second?.position}&limit=3`)).complete).toBe(true);
  for (const position of ["other1-1", String(first.position).replace(/-.*/, "-999999")]) {
    const page = await history("dropped", `?since=${position}`);
    expect([page.publications.length, page.complete]).toEqual([20, false]);
  }
});

test("the history of an unused topic is empty, and later reads continue from its position", async () => {
  const empty = await history("never");

  expect(empty).toMatchObject({ publications: [], complete: true });
  await publishTo("never", "now");
  const next = await history("never", `?since=${empty.position}`);
  expect([next.publications.length, next.complete]).toEqual([1, true]);
});

test("the position of the last page is the end of the history, whatever was published to other topics", async () => {
  const own = await publishTo("quiet", "1");
  const others = await publishTo("loud", "2");

  const full = await history("quiet", "?limit=1");
  const last = await history("quiet");

  expect([full.position, last.position]).toEqual([own.position, others.position]);
  expect(await history("quiet", `?since=${last.position}`)).toEqual({ ...last, publications: [] });
});

test("a topic of any name is read by its percent-encoded name", async () => {
  for (const topic of ["a/b", "a.b/c?d#e", "100%", "%2F", "привет мир", "a+b", "..a", "=", "a..b", "x\\y"]) {
    await publishTo(topic, topic);
    expect(
      (await history(topic)).publications.map(({ data, topic: name }) => [data, name]),
      topic,
    ).toEqual([[topic, topic]]);
  }
});

test("live publications follow all durable ones of a batch that takes several ticks", async () => {
  const received: string[] = [];
  opened.bus.subscribe(opened.subjects.liveTopics("large.>"), ({ data }) =>
    received.push(Buffer.from(data).toString()),
  );
  await until("the listener is connected", () => opened.bus.confirm());
  const topics = Array.from({ length: 100 }, (_, at) => `large.${at}`);
  const durable = Array.from({ length: 30 }, (_, at) => ({ target: { topics }, durable: true, data: String(at) }));
  const batch = [...durable, { target: { topic: "large.0" }, data: "live" }];

  const { results } = (await postPublication<{ results: { status?: string }[] }>(publisher, batch)).body;

  expect(results.map(({ status }) => status)).toEqual([...durable.map(() => "stored"), "published"]);
  await until("all arrive", () => received.length === 3_001);
  expect(received).toEqual([...durable.flatMap(({ data }) => Array(100).fill(data)), "live"]);
});

test("a batch of mixed targets is published in order, also the first after a start", async () => {
  await using fresh = await startPublisher({ nats: nats.url });
  const received: string[] = [];
  opened.bus.subscribe(opened.subjects.liveTopics("mixed.>"), ({ data }) =>
    received.push(Buffer.from(data).toString()),
  );
  opened.bus.subscribe(opened.subjects.liveConnections("w0rker00"), (message) => {
    received.push(Buffer.from(message.data).toString());
    message.respond('{"outcome":"delivered"}');
  });
  await until("the listener is connected", () => opened.bus.confirm());
  const kinds: { readonly target: object; readonly durable?: boolean; readonly receipt?: boolean }[] = [
    { target: { topic: "mixed.a" }, durable: true },
    { target: { topic: "mixed.a" } },
    { target: { connection: "w0rker00.1" } },
    { target: { topics: ["mixed.b", "mixed.c"] }, durable: true },
    { target: { topics: ["mixed.b", "mixed.c"] } },
    { target: { topic: "mixed.a" }, receipt: true },
  ];
  const batch = Array.from({ length: 10 }, () => kinds)
    .flat()
    .map((kind, at) => ({ ...kind, data: String(at) }));

  for (const round of ["first", "next"]) {
    received.length = 0;
    const { results } = (await postPublication<{ results: { status?: string }[] }>(fresh, batch)).body;

    expect(results.map(({ status }) => status)).toEqual(
      batch.map(({ target, durable }) => (durable ? "stored" : "connection" in target ? "delivered" : "published")),
    );
    const copies = batch.flatMap(({ target, data }) => ("topics" in target ? [data, data] : [data]));
    await until(
      () => `${received.length} of ${copies.length} received in the ${round} batch: ${received.join(" ")}`,
      () => received.length === copies.length,
    );
    expect(received, round).toEqual(copies);
  }
});
