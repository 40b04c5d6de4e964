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

/** Records what is published, as `<topic>` or `<topic> durable`, and answers with the results of `answer`. */
function recorder(answer: (request: PublishRequest) => PublishResult, maxBytes = 0) {
  const published: string[] = [];
  const publishAll = (requests: readonly PublishRequest[]) => {
    for (const { publications, isDurable } of requests) {
      for (const { target } of publications) {
        published.push(`${target.kind === "topic" ? target.topic : target.kind}${isDurable ? " durable" : ""}`);
      }
    }
    return Promise.resolve(requests.map(answer));
  };
  return { published, publisher: { maxBytes, publishAll } };
}

async function errorOf(publishing: Promise<void>): Promise<ApiError | undefined> {
  try {
    await publishing;
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

async function codeOf(publishing: Promise<void>): Promise<string | undefined> {
  return (await errorOf(publishing))?.code;
}

test("cache channels are durable and all others live, in the order of the request", async () => {
  const { published, publisher } = recorder(({ isDurable }) => (isDurable ? STORED : PUBLISHED));

  await new EventPublisher({ publisher, history: known }).publish([
    eventTo("a", "cache-b"),
    eventTo("cache-c"),
    eventTo("d"),
  ]);
  expect(published).toEqual(["a", "cache-b durable", "cache-c durable", "d"]);
});

test("without JetStream everything is live", async () => {
  const { published, publisher } = recorder(() => PUBLISHED);

  await new EventPublisher({ publisher, history: missing }).publish([eventTo("a", "cache-b")]);
  expect(published).toEqual(["a", "cache-b"]);
});

test("an event that cannot be stored because JetStream has disappeared is published live", async () => {
  const { published, publisher } = recorder(({ isDurable }) =>
    isDurable ? { ok: false, reason: "no-jetstream" } : PUBLISHED,
  );

  await new EventPublisher({ publisher, history: known }).publish([eventTo("cache-a", "b")]);
  expect(published).toEqual(["cache-a durable", "b", "cache-a"]);
});

test("only the first events after JetStream has disappeared are published out of order, until it is back", async () => {
  let hasJetStream = false;
  const { published, publisher } = recorder(({ isDurable }) => {
    if (isDurable) return hasJetStream ? STORED : { ok: false, reason: "no-jetstream" };
    return PUBLISHED;
  });
  const state: History["state"] = async () =>
    hasJetStream
      ? { ok: false, reason: "unusable", detail: "no leader" }
      : { ok: false, reason: "no-jetstream", detail: "" };
  const events = new EventPublisher({ publisher, history: { epoch: "e", state } });
  const publishedBy = async (...names: string[]) => {
    published.length = 0;
    await events.publish([eventTo(...names)]);
    return [...published];
  };

  expect(await publishedBy("cache-a", "b")).toEqual(["cache-a durable", "b", "cache-a"]);
  expect(await publishedBy("cache-a", "b")).toEqual(["cache-a", "b"]);
  hasJetStream = true;
  expect(await publishedBy("cache-a", "b")).toEqual(["cache-a durable", "b"]);
});

test("a history that cannot be used now refuses events to cache channels, because an older one would stay in the cache", async () => {
  const { published, publisher } = recorder(() => ({ ok: false, reason: "unusable", detail: "no leader" }));

  expect(await codeOf(new EventPublisher({ publisher, history: known }).publish([eventTo("cache-a")]))).toBe(
    "history_unavailable",
  );
  expect(published).toEqual(["cache-a durable"]);
});

test("a request that was carried out in part names the channels without an event", async () => {
  const { publisher } = recorder(({ isDurable }) => (isDurable ? { ok: false, reason: "unusable" } : PUBLISHED));

  const error = await errorOf(
    new EventPublisher({ publisher, history: known }).publish([eventTo("a", "cache-b"), eventTo("c")]),
  );

  expect(error).toMatchObject({
    code: "partly_published",
    details: [{ index: 0, field: "channel", message: expect.stringMatching(/^cache-b: not published\. The history/) }],
  });
});

test("an outcome that is unknown is unconfirmed, and the channels that certainly failed are named as such", async () => {
  const reasons = { a: "unconfirmed", b: "too-large" } as const;
  const { publisher } = recorder(({ publications: [{ target } = { target: undefined }] }) => {
    const reason = target?.kind === "topic" ? reasons[target.topic as "a" | "b"] : undefined;
    return reason === undefined ? PUBLISHED : { ok: false, reason };
  });
  const messagesOf = async (...names: string[]) => {
    const error = await errorOf(new EventPublisher({ publisher, history: known }).publish([eventTo(...names)]));
    return [error?.code, ...(error?.details ?? []).map(({ message }) => message.replace(/\..*/, ""))];
  };

  expect(await messagesOf("a", "c")).toEqual(["unconfirmed", "a: perhaps published"]);
  expect(await messagesOf("a", "b", "c")).toEqual(["unconfirmed", "a: perhaps published", "b: not published"]);
  expect(await messagesOf("a", "b")).toEqual(["unconfirmed", "a: perhaps published", "b: not published"]);
  expect(await messagesOf("b", "c")).toEqual(["partly_published", "b: not published"]);
  expect(await messagesOf("a")).toEqual(["unconfirmed"]);
});

test("a request of which nothing was published has the error of its events", async () => {
  const none = recorder(() => ({ ok: false, reason: "unavailable" }));

  expect(await codeOf(new EventPublisher({ ...none, history: known }).publish([eventTo("a", "b")]))).toBe(
    "nats_unavailable",
  );
});

test("the result of an event that was published live afterwards belongs to its channel", async () => {
  const { publisher } = recorder(({ isDurable, publications: [{ target } = { target: undefined }] }) => {
    if (isDurable) return { ok: false, reason: "no-jetstream" };
    return target?.kind === "topic" && target.topic === "b" ? { ok: false, reason: "unavailable" } : PUBLISHED;
  });

  const error = await errorOf(
    new EventPublisher({ publisher, history: known }).publish([eventTo("cache-a", "b", "c")]),
  );

  expect(error).toMatchObject({ code: "partly_published", details: [{ message: expect.stringMatching(/^b: not/) }] });
});

test("nothing is published if one event is too large for NATS", async () => {
  const { published, publisher } = recorder(() => PUBLISHED, 1_000);
  const large = { ...eventTo("b"), content: Buffer.alloc(900) };

  expect(await codeOf(new EventPublisher({ publisher, history: known }).publish([eventTo("a"), large]))).toBe(
    "content_too_large",
  );
  expect(published).toEqual([]);
});
