import { createHash, createHmac } from "node:crypto";
import { pusherAppsFrom } from "@fanwire/pusher-protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ApiError, type ErrorCode } from "../../http/errors.ts";
import { authenticate, checkBody, parameter } from "./authenticate.ts";
import { pusherTarget } from "./request-target.ts";

const NOW = 1_700_000_000;
const demo = { id: "demo-app", key: "demo-key-0001", secret: "demo-secret-0001" };
const previousKeys = [{ key: "older", secret: "older-secret" }];
const apps = pusherAppsFrom({
  FANWIRE_PUSHER_APPS: JSON.stringify([
    { ...demo, previousKeys },
    { id: "2", key: "other-key", secret: "other-secret" },
  ]),
});

/** Checks a request as it is received. */
function check(method: string, target: string, nowSeconds = NOW) {
  const parsed = pusherTarget(target);
  if (parsed === undefined) throw new Error(`no target: ${target}`);
  return authenticate(apps, { method, target: parsed, nowSeconds });
}

const sign = (text: string, secret = demo.secret) => createHmac("sha256", secret).update(text).digest("hex");
/** Returns the target of a request that is signed as it is sent. */
function signedTarget(method: string, path: string, query: string, secret = demo.secret): string {
  return `${path}?${query}&auth_signature=${sign(`${method}\n${path}\n${query}`, secret)}`;
}
const md5 = (body: string) => createHash("md5").update(body).digest("hex");
const refusal = (code: ErrorCode) => expect.objectContaining({ code });
const invalid = refusal("invalid_signature");
const AUTH = `auth_key=${demo.key}&auth_timestamp=${NOW}&auth_version=1.0`;
const GET_VECTOR = `/apps/demo-app/channels?filter_by_prefix=presence-&info=user_count&${AUTH}&auth_signature=9c4118dcd78a0a76792dacffa8071f50474d941636c0e415e390df13221ddf3a`;
const BODY = '{"name":"order.created","channels":["private-orders"],"data":"{\\"id\\":1}"}';
const POST_VECTOR = `/apps/demo-app/events?${AUTH}&body_md5=bb66f4c7c9ecc0bf35f38bdbd9ec4afb&auth_signature=62760db8635c9fdc852cda72e52b894f11a46ce0a4af41cd9023ec0f6e560234`;

test("requests that the node SDK signed are accepted", async () => {
  expect(check("GET", GET_VECTOR).app.id).toBe("demo-app");
  await checkBody(check("POST", POST_VECTOR), Buffer.from(BODY));
  expect(check("GET", `/behind/a/proxy${GET_VECTOR}`).app.id).toBe("demo-app");
});

test("a changed method, path, parameter or body is refused", async () => {
  const changed = [
    ["POST", GET_VECTOR],
    ["GET", GET_VECTOR.replace("/channels", "/channels/a")],
    ["GET", GET_VECTOR.replace("presence-", "presence-a")],
    ["GET", GET_VECTOR.replace("&info=user_count", "")],
    ["GET", `${GET_VECTOR}&info=cache`],
    ["GET", GET_VECTOR.replace(/.$/, "b")],
    ["GET", GET_VECTOR.replace(/auth_signature=.*/, "auth_signature=")],
    ["GET", GET_VECTOR.replace(/&auth_signature=.*/, "")],
    ["GET", GET_VECTOR.replace("demo-key-0001", "older")],
    ["GET", GET_VECTOR.replace("demo-key-0001", "other-key")],
    ["GET", GET_VECTOR.replace("auth_version=1.0", "auth_version=2.0")],
    ["GET", `${GET_VECTOR}&auth_key=other-key`],
  ] as const;
  for (const [method, target] of changed) expect(() => check(method, target), target).toThrow(invalid);

  const signed = check("POST", POST_VECTOR);
  for (const body of ["", `${BODY} `, BODY.replace("1", "2")]) {
    await expect(checkBody(signed, Buffer.from(body)), body).rejects.toThrow(invalid);
  }
});

test("a body needs its MD5, and the MD5 of nothing belongs to no body", async () => {
  for (const query of [AUTH, `${AUTH}&body_md5=${md5("")}`]) {
    const signed = check("POST", signedTarget("POST", "/apps/demo-app/events", query));
    await expect(checkBody(signed, Buffer.from("{}"))).rejects.toThrow(invalid);
    await checkBody(signed, Buffer.from(""));
  }
});

test("the MD5 of a body of megabytes, which is hashed in steps, is that of all bytes", async () => {
  const body = "ab".repeat(1_100_000);
  const signed = check("POST", signedTarget("POST", "/apps/demo-app/events", `${AUTH}&body_md5=${md5(body)}`));

  await checkBody(signed, Buffer.from(body));
  await expect(checkBody(signed, Buffer.from(`${body.slice(0, -1)}c`))).rejects.toThrow(invalid);
});

test("clock skew: clocks may differ by 600 seconds", () => {
  for (const seconds of [-600, 0, 600]) check("GET", GET_VECTOR, NOW + seconds);
  for (const seconds of [-601, 601]) expect(() => check("GET", GET_VECTOR, NOW + seconds)).toThrow(invalid);
  for (const time of ["", "x", "1e9", "-1", "17000000000000000000"]) {
    const target = signedTarget("GET", "/apps/demo-app/channels", `auth_key=${demo.key}&auth_timestamp=${time}`);
    expect(() => check("GET", target), time).toThrow(invalid);
  }
});

test("an unknown app is 404, and previous keys and requests without auth_version are accepted", () => {
  expect(() => check("GET", GET_VECTOR.replace("/demo-app/", "/3/"))).toThrow(refusal("unknown_app"));
  const query = `auth_key=older&auth_timestamp=${NOW}`;
  const target = signedTarget("GET", "/apps/demo-app/channels", query, "older-secret");
  expect(check("GET", target).app.id).toBe("demo-app");
});

test("arrays are accepted as the Ruby and the PHP SDK sign them", () => {
  for (const signed of ["channels[]=a&channels[]=b", "channels=a,b"]) {
    const signature = sign(`POST\n/apps/demo-app/events\n${AUTH}&${signed}&name=n`);
    for (const sent of ["channels[]=a&channels[]=b", "channels%5B0%5D=a&channels%5B1%5D=b"]) {
      const { query } = check("POST", `/apps/demo-app/events?${AUTH}&${sent}&name=n&auth_signature=${signature}`);
      expect(query.flatMap(({ name, value }) => (name === "channels" ? [value] : []))).toEqual(["a", "b"]);
    }
  }
});

test("a path and a plus sign are accepted however the SDK escaped what it signed", () => {
  const path = "/apps/demo-app/users/a b/ü?/terminate_connections";
  for (const signed of [path, encodeURI(path).replace("?", "%3F")]) {
    const signature = sign(`POST\n${signed}\n${AUTH}`);
    const sent = `${encodeURI(path).replace("?", "%3F")}?${AUTH}&auth_signature=${signature}`;
    expect(() => check("POST", sent), signed).not.toThrow();
  }
  for (const value of ["a b", "a+b"]) {
    const signature = sign(`GET\n/apps/demo-app/channels\n${AUTH}&x=${value}`);
    const { query } = check("GET", `/apps/demo-app/channels?${AUTH}&x=a+b&auth_signature=${signature}`);
    expect(parameter(query, "x")).toBe(value);
  }
});

test("the Python SDK's path without an app finds the app by its key", () => {
  const target = signedTarget("POST", "/users/u/terminate_connections", AUTH);

  expect(check("POST", target).app.id).toBe("demo-app");
  expect(() => check("POST", target.replace(demo.key, "nobody"))).toThrow(invalid);
});

test("no error reveals the right signature, and no query throws anything but an ApiError", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.boolean(), (text, isAppended) => {
      const query = isAppended ? `${AUTH}&auth_signature=${sign("x")}&${text}` : text;
      try {
        check("GET", `/apps/demo-app/channels?${query}`);
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError);
        expect(String(error)).not.toMatch(/[0-9a-f]{64}/);
      }
    }),
  );
});
