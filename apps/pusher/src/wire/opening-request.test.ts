import { expect, test } from "vitest";
import { otherProtocolAt, upgradeProblem } from "./opening-request.ts";

test("only the paths of well-known other protocols are refused", () => {
  const others = ["/app/key", "/app/", "/socket.io", "/socket.io/", "/connection/websocket", "/cable", "/cable/"];
  const raw = [
    "/",
    "/app",
    "/application/key",
    "/my/app/key",
    "/socket.iox",
    "/connection",
    "/cables",
    "/chat",
    "//app/k",
  ];

  expect(others.filter((path) => otherProtocolAt(path) === undefined)).toEqual([]);
  expect(raw.filter((path) => otherProtocolAt(path) !== undefined)).toEqual([]);
});

const good = { upgrade: "websocket", version: "13", key: "dGhlIHNhbXBsZSBub25jZQ==" };

test.each([
  [{}, undefined],
  [{ upgrade: "WebSocket" }, undefined],
  [{ upgrade: "h2c, websocket" }, undefined],
  [{ upgrade: "" }, "no-upgrade"],
  [{ upgrade: "h2c" }, "no-upgrade"],
  [{ upgrade: "websockets" }, "no-upgrade"],
  [{ version: "" }, "version"],
  [{ version: "8" }, "version"],
  [{ version: "13, 8" }, "version"],
  [{ key: "" }, "key"],
  [{ key: "dGhlIHNhbXBsZSBub25jZQ" }, "key"],
  [{ key: "dGhlIHNhbXBsZSBub25jZSE=" }, "key"],
  [{ key: "!GhlIHNhbXBsZSBub25jZQ==" }, "key"],
])("a handshake with %j", (headers, problem) => {
  expect(upgradeProblem({ ...good, ...headers })).toBe(problem);
});
