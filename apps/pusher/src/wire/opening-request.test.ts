import { expect, test } from "vitest";
import { pathProblem, upgradeProblem } from "./opening-request.ts";

test("only the paths of well-known other protocols are refused", () => {
  const others = [
    "/app/key",
    "/app/",
    "/socket.io",
    "/socket.io/",
    "/connection/websocket",
    "/connection/http_stream/",
    "/connection/uni_sse",
    "/cable",
    "/cable/",
  ];
  const raw = [
    "/",
    "/app",
    "/application/key",
    "/my/app/key",
    "/socket.iox",
    "/connection",
    "/connection/",
    "/connection/7",
    "/connection/websocket/7",
    "/connection/websockets",
    "/cables",
    "/chat",
    "//app/k",
  ];

  expect(others.filter((path) => pathProblem(path, false) === undefined)).toEqual([]);
  expect(raw.filter((path) => pathProblem(path, false) !== undefined)).toEqual([]);
});

test("with apps, the Pusher protocol has another path", () => {
  expect(pathProblem("/app/key/", false)).toBe("the Pusher protocol is not served here");
  expect(pathProblem("/app/key/", true)).toBe("connect to /app/<key>");
  expect(pathProblem("/cable", true)).toBe("Action Cable is not served here");
});

const good = { upgrade: "websocket", connection: "Upgrade", version: "13", key: "dGhlIHNhbXBsZSBub25jZQ==" };

test.each([
  [{}, undefined],
  [{ upgrade: "WebSocket" }, undefined],
  [{ upgrade: "h2c, websocket" }, undefined],
  [{ upgrade: "" }, "no-upgrade"],
  [{ upgrade: "h2c" }, "no-upgrade"],
  [{ upgrade: "websockets" }, "no-upgrade"],
  [{ connection: "keep-alive, upgrade" }, undefined],
  [{ connection: "" }, "no-upgrade"],
  [{ connection: "close" }, "no-upgrade"],
  [{ connection: "no-upgrade" }, "no-upgrade"],
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
