import { OPEN_GRANT } from "@fanwire/tokens";
import { expect, test } from "vitest";
import { type Connection, newConnectionState } from "../connections/connection.ts";
import { raw } from "./raw.ts";
import { UwsAppTopics } from "./uws-app-topics.ts";

/** An app whose members receive what it publishes. */
function recordingApp(number: number, members: readonly string[]) {
  const received: string[] = [];
  const app = {
    publish: (_topic: unknown, frame: unknown) => {
      received.push(...members.map((member) => `${member} ${frame}`));
      return true;
    },
    numSubscribers: () => members.length,
  };
  const connectionOf = (member: string): Connection => {
    const state = newConnectionState({ connectionId: 1, protocol: raw, grant: OPEN_GRANT });
    state.app = number;
    // As uWebSockets.js does: to the other members of the same app.
    const publish = (_topic: unknown, frame: unknown) => {
      received.push(...members.filter((other) => other !== member).map((other) => `${other} ${frame}`));
      return true;
    };
    return { getUserData: () => state, publish } as unknown as Connection;
  };
  return { app, number, received, connectionOf };
}

test("a frame reaches the WebSockets of every app once, except one of them", () => {
  const [old, fresh] = [recordingApp(1, ["anna", "bob"]), recordingApp(2, ["carol", "dave"])];
  const topics = new UwsAppTopics(() => [fresh, old]);

  topics.publish("t", "1", false);
  topics.publish("t", "2", false, old.connectionOf("anna"));
  topics.publish("t", "3", false, fresh.connectionOf("dave"));

  expect(old.received).toEqual(["anna 1", "bob 1", "bob 2", "anna 3", "bob 3"]);
  expect(fresh.received).toEqual(["carol 1", "dave 1", "carol 2", "dave 2", "carol 3"]);
  expect(topics.numSubscribers("t")).toBe(4);
});
