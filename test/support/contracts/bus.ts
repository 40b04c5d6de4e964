import type { Bus, BusMessage } from "@fanwire/bus";
import { describe, expect, test } from "vitest";
import { until } from "../wait.ts";

type Server = { stop(): Promise<void>; restart(): Promise<void> };

type Implementation<Of extends Server> = {
  /** A server that runs during all tests. */
  readonly server: Of;
  startServer(): Promise<Of & AsyncDisposable>;
  connect(server: Of): Promise<Bus & AsyncDisposable>;
};

const text = (content: string) => Buffer.from(content);
const contentOf = ({ data }: BusMessage) => Buffer.from(data).toString();
const refused = { ok: false, reason: "too-large" };

/** Tests what every {@link Bus} must do, on a real server. */
export function testBusContract<Of extends Server>({ server, startServer, connect }: Implementation<Of>): void {
  describe("the contract of a bus", () => {
    test("publications that are confirmed arrive in order, with their headers", async () => {
      await using publisher = await connect(server);
      await using reader = await connect(server);
      const got: [string, string | undefined][] = [];
      reader.subscribe("a.*", (message) => got.push([contentOf(message), message.headers?.get("Event")]));
      await reader.publish("flush", text(""));

      const outcomes = await Promise.all(
        Array.from({ length: 500 }, (_, at) => publisher.publish("a.b", text(String(at)), [["Event", `e${at}`]])),
      );

      expect(outcomes.every(({ ok }) => ok)).toBe(true);
      await until("all messages arrive", () => got.length === 500);
      expect(got).toEqual(Array.from({ length: 500 }, (_, at) => [String(at), `e${at}`]));
    });

    test("a request does not overtake publications of the same tick", async () => {
      await using publisher = await connect(server);
      await using reader = await connect(server);
      const got: string[] = [];
      reader.subscribe("a", (message) => {
        got.push(contentOf(message));
        message.respond("");
      });
      await reader.confirm();

      const outcomes = await Promise.all([
        publisher.publish("a", text("1")),
        publisher.request("a", text("2"), { timeoutMs: 5_000 }),
        publisher.publish("a", text("3")),
        publisher.gather("a", text("4"), { stallMs: 100, maxWaitMs: 5_000 }),
        publisher.publish("a", text("5")),
        publisher.gather("a", text("6"), { maxWaitMs: 100 }),
      ]);

      expect(outcomes.every((outcome) => outcome && (!("ok" in outcome) || outcome.ok))).toBe(true);
      await until("all messages arrive", () => got.length === 6);
      expect(got).toEqual(["1", "2", "3", "4", "5", "6"]);
    });

    test("send() and publish() keep their order, and confirm() covers both", async () => {
      await using server = await startServer();
      const [publisher, reader] = await Promise.all([connect(server), connect(server)]);
      const got: string[] = [];
      reader.subscribe("a", (message) => got.push(contentOf(message)));
      await reader.confirm();

      for (const content of ["1", "2"]) expect(publisher.send("a", text(content))).toBe("sent");
      const published = publisher.publish("a", text("3"));
      expect(publisher.send("a", text("4"), [["Via", "x"]])).toBe("sent");
      expect(await publisher.confirm()).toBe(true);
      await published;
      await until("all messages arrive", () => got.length === 4);
      expect(got).toEqual(["1", "2", "3", "4"]);
      expect(publisher.send("a", new Uint8Array(publisher.maxPayloadBytes() + 1))).toBe("too-large");

      await server.stop();
      await until("the loss is detected", () => !publisher.health().alive);
      expect(publisher.send("a", text("lost"))).toBe("unavailable");
      expect(await publisher.confirm()).toBe(false);
      await Promise.all([publisher.stop(), reader.stop()]);
      expect(publisher.send("a", text("too late"))).toBe("unavailable");
    });

    test("a subscription ends after the messages that it may have, unless it may have more before that", async () => {
      await using bus = await connect(server);
      const got: [string, string][] = [];
      const subscribe = (subject: string) =>
        bus.subscribe(subject, (message) => got.push([subject, contentOf(message)]));
      subscribe("limited").endAfter(2);
      const renewed = subscribe("renewed");
      renewed.endAfter(1);
      renewed.endAfter(2);

      for (const content of ["1", "2", "3"]) {
        for (const subject of ["limited", "renewed"]) await bus.publish(subject, text(content));
      }
      await bus.confirm();

      for (const subject of ["limited", "renewed"]) {
        expect(got.filter(([name]) => name === subject).map(([, content]) => content)).toEqual(["1", "2"]);
      }
    });

    test("publications and subscriptions of one tick keep their order", async () => {
      await using bus = await connect(server);
      const got: [string, string | undefined][] = [];
      const subscribe = () =>
        bus.subscribe("a", (message) => got.push([contentOf(message), message.headers?.get("Event")]));

      const outcomes = [bus.publish("a", text("before any subscription"))];
      const subscription = subscribe();
      outcomes.push(
        bus.publish("a", text("1")),
        bus.publish("a", text("2"), [["Event", "e"]]),
        bus.publish("a", text("3")),
      );
      subscription.unsubscribe();
      outcomes.push(bus.publish("a", text("between")));
      subscribe();
      outcomes.push(bus.publish("a", text("4")));

      expect(await Promise.all(outcomes)).toEqual(Array.from({ length: 6 }, () => ({ ok: true })));
      await until("the last message arrives", () => got.at(-1)?.[0] === "4");
      // A closed subscription receives nothing.
      expect(got).toEqual([["4", undefined]]);
    });

    test("a queue group delivers each message to one subscription, each with the same probability", async () => {
      await using one = await connect(server);
      await using other = await connect(server);
      const counts = [0, 0, 0];
      for (const [at, bus] of [one, one, other].entries()) {
        const onMessage = () => {
          counts[at] = (counts[at] ?? 0) + 1;
        };
        bus.subscribe("g", onMessage, "group");
      }
      await Promise.all([one.confirm(), other.confirm()]);

      for (let count = 0; count < 3_000; count++) other.send("g", text("x"));

      await until("all messages arrive", () => counts.reduce((sum, count) => sum + count, 0) === 3_000);
      for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    });

    test("request() distinguishes a reply, a timeout and no responders", async () => {
      await using bus = await connect(server);
      bus.subscribe("answers", (message) => message.respond("yes"));
      bus.subscribe("silent", () => {});

      const answered = await bus.request("answers", text("?"), { timeoutMs: 1_000 });
      expect(answered.ok && contentOf(answered.message)).toBe("yes");
      expect(await bus.request("silent", text("?"), { timeoutMs: 50 })).toEqual({ ok: false, reason: "timeout" });
      const nobody = await bus.request("nobody", text("?"), { timeoutMs: 1_000 });
      expect(nobody).toEqual({ ok: false, reason: "no-responders" });
    });

    test("gather() calls back for each reply until its signal aborts", async () => {
      await using bus = await connect(server);
      for (const answer of ["a", "b"]) bus.subscribe("all", (message) => message.respond(answer));
      const replies: string[] = [];
      const enough = new AbortController();
      const onReply = (message: BusMessage) => {
        if (replies.push(contentOf(message)) === 2) enough.abort();
      };

      const outcome = await bus.gather("all", text("?"), { maxWaitMs: 20_000, signal: enough.signal, onReply });

      expect(outcome.ok && outcome.messages.length).toBe(2);
      expect(replies.toSorted()).toEqual(["a", "b"]);
      expect(await bus.gather("none", text("?"), { maxWaitMs: 50 })).toEqual({ ok: true, messages: [] });
      const tooLarge = Buffer.alloc(bus.maxPayloadBytes() + 1);
      expect(await bus.gather("all", tooLarge, { maxWaitMs: 50 })).toEqual(refused);
    });

    test("gather() with a stall time returns all replies, or none without responders", async () => {
      await using bus = await connect(server);
      for (const answer of ["a", "b", "c"]) bus.subscribe("all", (message) => message.respond(answer));

      const gathered = await bus.gather("all", text("?"), { stallMs: 200, maxWaitMs: 1_000 });

      expect(gathered.ok && gathered.messages.map(contentOf).sort()).toEqual(["a", "b", "c"]);
      expect(await bus.gather("none", text("?"), { stallMs: 50, maxWaitMs: 200 })).toEqual({ ok: true, messages: [] });
    });

    test("the bus refuses content over max_payload, and NATS does not close the connection", async () => {
      await using bus = await connect(server);
      const limit = bus.maxPayloadBytes();

      expect(await bus.publish("a", new Uint8Array(limit))).toEqual({ ok: true });
      expect(await bus.publish("a", new Uint8Array(limit + 1))).toEqual(refused);
      expect(await bus.publish("a", new Uint8Array(limit), [["Event", "e"]])).toEqual(refused);
      expect(await bus.request("a", new Uint8Array(limit + 1), { timeoutMs: 50 })).toEqual(refused);
      const withHeaders = "NATS/1.0\r\nEvent: e\r\n\r\n".length;
      expect(await bus.publish("a", new Uint8Array(limit - withHeaders), [["Event", "e"]])).toEqual({ ok: true });
      // Each publication of many has its own outcome.
      const [fits, beyond] = [new Uint8Array(1), new Uint8Array(limit + 1)];
      expect(await bus.publishAll([fits, beyond, fits].map((content) => ({ subject: "a", content })))).toEqual([
        { ok: true },
        refused,
        { ok: true },
      ]);
    });

    test("the bus buffers nothing while NATS is unavailable, and works after the reconnect", async () => {
      await using server = await startServer();
      await using bus = await connect(server);
      const got: string[] = [];
      bus.subscribe("a", (message) => got.push(contentOf(message)));

      await server.stop();
      await until("the loss is detected", () => !bus.health().alive);
      expect(await bus.publish("a", text("lost"))).toEqual({ ok: false, reason: "unavailable" });
      expect(await bus.request("a", text("lost"), { timeoutMs: 50 })).toEqual({ ok: false, reason: "unavailable" });

      await server.restart();
      await until("publishing works again", () => bus.health().alive);
      expect(await bus.publish("a", text("kept"))).toEqual({ ok: true });
      await until("the message arrives", () => got.length > 0);
      expect(got).toEqual(["kept"]);
      expect(bus.traffic().disconnects).toBe(1);
    });

    test("an error in a receiver function does not end its subscription", async () => {
      await using bus = await connect(server);
      const got: string[] = [];
      bus.subscribe("a", (message) => {
        got.push(contentOf(message));
        throw new Error("a subscriber's own");
      });

      for (const content of ["1", "2"]) expect(await bus.publish("a", text(content))).toEqual({ ok: true });

      await until("both messages arrive", () => got.length === 2);
      expect(bus.health().alive).toBe(true);
    });

    test("subscribe() accepts a receiver object as well as a function", async () => {
      await using bus = await connect(server);
      const received: string[] = [];
      const receiverOf = (subscribed: string) => ({
        subscribed,
        receive(message: BusMessage) {
          received.push(`${this.subscribed} ${message.subject}`);
        },
      });
      const [exact] = ["a.b", "a.*", "c"].map((subject) => bus.subscribe(subject, receiverOf(subject)));
      await bus.publish("a.b", text("1"));
      await until("both receivers get the message", () => received.length === 2);
      expect(received.sort()).toEqual(["a.* a.b", "a.b a.b"]);

      exact?.unsubscribe();
      for (const subject of ["a.b", "c"]) await bus.publish(subject, text("2"));

      await until("the other receivers get the message", () => received.length === 4);
      expect(received.slice(2)).toEqual(["a.* a.b", "c c"]);
      await bus.stop(); // a second stop, at the end of the test, must do nothing
      expect(() => bus.subscribe("d", receiverOf("d"))).toThrow();
    });

    test("a reply is written after the subscription made before it", async () => {
      await using server = await startServer();
      const [worker, caller] = await Promise.all([connect(server), connect(server)]);
      const got: string[] = [];
      worker.subscribe("subscribe", (message) => {
        worker.subscribe("topic", (message) => got.push(contentOf(message)));
        message.respond("done");
      });
      await worker.confirm();

      await caller.request("subscribe", text(""), { timeoutMs: 5_000 });
      await caller.publish("topic", text("at once"));

      await until("it arrived", () => got.length === 1);
      await Promise.all([worker.stop(), caller.stop()]);
    });
  });
}
