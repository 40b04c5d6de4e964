import type { Target } from "@fanwire/protocol";
import { expect, test } from "vitest";
import type { PublishRequest } from "../../cluster/publish-request.ts";
import { PUBLISHED, type PublishResult } from "../../cluster/publish-result.ts";
import { ApiError } from "../../http/errors.ts";
import { EventPublisher } from "./event-publisher.ts";
import type { EventRequest } from "./event-request.ts";

const STORED: PublishResult = { ok: true, status: "stored", positions: [], isDuplicate: false };
type History = ConstructorParameters<typeof EventPublisher>[0]["history"];
const known: History = { epoch: "e", state: () => Promise.reject(new Error("not needed")) };
const missing: History = {
  epoch: undefined,
  state: () => Promise.resolve({ ok: false, reason: "no-jetstream", detail: "" }),
};

function eventTo(...names: string[]): EventRequest {
  const channels = names.map((name) => {
    const target: Extract<Target, { kind: "topic" }> = { kind: "topic", topic: name };
    return { name, target, isCache: name.startsWith("cache-") };
  });
  return { event: "n", content: Buffer.from("x"), channels, except: undefined, info: undefined };
}

/** Records what is published, as `<topic>` or `<topic> durable`. `answer` takes the place of NATS. */
function openPublisher(answer: (request: PublishRequest) => PublishResult, { history = known, maxBytes = 0 } = {}) {
  const published: string[] = [];
  const publishAll = (requests: readonly PublishRequest[]) => {
    for (const { publications, isDurable } of requests) {
      for (const { target } of publications) {
        published.push(`${target.kind === "topic" ? target.topic : target.kind}${isDurable ? " durable" : ""}`);
      }
    }
    return Promise.resolve(requests.map(answer));
  };
  const events = new EventPublisher({ publisher: { maxBytes, publishAll }, history });
  return { published, publish: (...requests: EventRequest[]) => events.publish(requests) };
}

async function errorOf(publishing: Promise<void>): Promise<ApiError> {
  const error: unknown = await publishing.catch((refusal: unknown) => refusal);
  if (error instanceof ApiError) return error;
  throw error ?? new Error("no error");
}

test("cache channels are durable and all others live, in the order of the request", async () => {
  const { published, publish } = openPublisher(({ isDurable }) => (isDurable ? STORED : PUBLISHED));

  await publish(eventTo("a", "cache-b"), eventTo("cache-c"), eventTo("d"));
  expect(published).toEqual(["a", "cache-b durable", "cache-c durable", "d"]);
});

test("without JetStream everything is live", async () => {
  const { published, publish } = openPublisher(() => PUBLISHED, { history: missing });

  await publish(eventTo("a", "cache-b"));
  expect(published).toEqual(["a", "cache-b"]);
});

test("only the first events after JetStream has disappeared are published out of order, until it is back", async () => {
  let hasJetStream = false;
  const state: History["state"] = async () =>
    hasJetStream
      ? { ok: false, reason: "unusable", detail: "no leader" }
      : { ok: false, reason: "no-jetstream", detail: "" };
  const { published, publish } = openPublisher(
    ({ isDurable }) => {
      if (isDurable) return hasJetStream ? STORED : { ok: false, reason: "no-jetstream" };
      return PUBLISHED;
    },
    { history: { epoch: "e", state } },
  );
  const publishedBy = async (...names: string[]) => {
    published.length = 0;
    await publish(eventTo(...names));
    return [...published];
  };

  expect(await publishedBy("cache-a", "b")).toEqual(["cache-a durable", "b", "cache-a"]);
  expect(await publishedBy("cache-a", "b")).toEqual(["cache-a", "b"]);
  hasJetStream = true;
  expect(await publishedBy("cache-a", "b")).toEqual(["cache-a durable", "b"]);
});

test("a history that cannot be used now refuses events to cache channels, because an older one would stay in the cache", async () => {
  const { published, publish } = openPublisher(() => ({ ok: false, reason: "unusable", detail: "no leader" }));

  expect(await errorOf(publish(eventTo("cache-a")))).toMatchObject({ code: "history_unavailable" });
  expect(published).toEqual(["cache-a durable"]);
});

test("a request that was carried out in part names the channels without an event", async () => {
  const { publish } = openPublisher(({ isDurable }) => (isDurable ? { ok: false, reason: "unusable" } : PUBLISHED));

  expect(await errorOf(publish(eventTo("a", "cache-b"), eventTo("c")))).toMatchObject({
    code: "partly_published",
    details: [{ index: 0, field: "channel", message: expect.stringMatching(/^cache-b: not published\. The history/) }],
  });
});

test("an outcome that is unknown is unconfirmed, and the channels that certainly failed are named as such", async () => {
  const reasons = { a: "unconfirmed", b: "too-large" } as const;
  const { publish } = openPublisher(({ publications: [{ target } = { target: undefined }] }) => {
    const reason = target?.kind === "topic" ? reasons[target.topic as "a" | "b"] : undefined;
    return reason === undefined ? PUBLISHED : { ok: false, reason };
  });
  const messagesOf = async (...names: string[]) => {
    const { code, details = [] } = await errorOf(publish(eventTo(...names)));
    return [code, ...details.map(({ message }) => message.replace(/\..*/, ""))];
  };

  expect(await messagesOf("a", "c")).toEqual(["unconfirmed", "a: perhaps published"]);
  expect(await messagesOf("a", "b", "c")).toEqual(["unconfirmed", "a: perhaps published", "b: not published"]);
  expect(await messagesOf("a", "b")).toEqual(["unconfirmed", "a: perhaps published", "b: not published"]);
  expect(await messagesOf("b", "c")).toEqual(["partly_published", "b: not published"]);
  expect(await messagesOf("a")).toEqual(["unconfirmed"]);
});

test("a request of which nothing was published has the error of its events", async () => {
  const { publish } = openPublisher(() => ({ ok: false, reason: "unavailable" }));

  expect(await errorOf(publish(eventTo("a", "b")))).toMatchObject({ code: "nats_unavailable" });
});

test("the result of an event that was published live afterwards belongs to its channel", async () => {
  const { publish } = openPublisher(({ isDurable, publications: [{ target } = { target: undefined }] }) => {
    if (isDurable) return { ok: false, reason: "no-jetstream" };
    return target?.kind === "topic" && target.topic === "b" ? { ok: false, reason: "unavailable" } : PUBLISHED;
  });

  expect(await errorOf(publish(eventTo("cache-a", "b", "c")))).toMatchObject({
    code: "partly_published",
    details: [{ message: expect.stringMatching(/^b: not/) }],
  });
});

test("nothing is published if one event is too large for NATS", async () => {
  const { published, publish } = openPublisher(() => PUBLISHED, { maxBytes: 1_000 });
  const large = { ...eventTo("b"), content: Buffer.alloc(900) };

  expect(await errorOf(publish(eventTo("a"), large))).toMatchObject({ code: "content_too_large" });
  expect(published).toEqual([]);
});
