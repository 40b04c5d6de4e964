import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { SignJWT } from "jose";

const {
  PORT = "3000",
  FANWIRE_PUSHER_URL = "ws://localhost:4236",
  FANWIRE_PUBLISHER_URL = "http://localhost:4237",
  FANWIRE_API_KEY,
  PUSHER_TOKEN_SECRET,
} = process.env;

const routes = {
  "GET /": async (response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(await readFile(new URL("public/index.html", import.meta.url)));
  },
  // A real application checks its session here.
  "GET /push": async (response) => sendJson(response, 200, { url: FANWIRE_PUSHER_URL, token: await tokenFor("ann") }),
  "POST /orders": async (response) => {
    const order = { id: randomUUID(), total: 9 };
    const published = await publish({ target: { topic: `orders.${order.id}` }, event: "created", data: order });
    sendJson(response, published.ok ? 201 : 502, await published.json());
  },
};

/** Publishes durably. The id keeps a retry from being stored twice. */
function publish({ data, ...publication }) {
  return fetch(`${FANWIRE_PUBLISHER_URL}/v1/publications`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(FANWIRE_API_KEY && { Authorization: `Bearer ${FANWIRE_API_KEY}` }),
    },
    body: JSON.stringify({ ...publication, data: JSON.stringify(data), durable: true, id: data.id }),
    signal: AbortSignal.timeout(15_000),
  });
}

/** Returns a token that allows a user to subscribe to its topics for an hour. Without a secret pushers need none. */
async function tokenFor(user) {
  if (!PUSHER_TOKEN_SECRET) return undefined;
  return new SignJWT({ topics: ["orders.*"] })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(PUSHER_TOKEN_SECRET));
}

function sendJson(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

const server = createServer(async (request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) return sendJson(response, 404, { error: "not found" });
  try {
    await route(response);
  } catch (error) {
    console.error(error);
    sendJson(response, 502, { error: "Fanwire cannot be reached" });
  }
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`http://localhost:${server.address().port}`));
