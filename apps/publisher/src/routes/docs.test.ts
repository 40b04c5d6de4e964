import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { errorCode, usePublisher } from "../testing.ts";

const { url } = usePublisher();

const bundle = readFileSync(new URL(import.meta.resolve("swagger-ui-dist/swagger-ui-bundle.js")), "utf8");

/** Returns the paths of the files that the page loads. */
async function filesOfPage(): Promise<string[]> {
  const page = await (await fetch(url("/docs"))).text();
  return [...page.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)].map(([, path]) => `/${path}`);
}

async function bundlePath(): Promise<string> {
  const paths = await filesOfPage();
  return (
    paths.find((path) => path.includes("swagger-ui-bundle.js")) ?? expect.fail("the page does not load Swagger UI")
  );
}

test("the page has no inline script or style, and its policy allows only the publisher's files", async () => {
  const response = await fetch(url("/docs"));
  const page = await response.text();

  expect(page).not.toMatch(/<style|style=|<script(?! defer src="docs\/)|https?:/);
  const policy = response.headers.get("Content-Security-Policy");
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
    expect(policy?.split("; ")).toContain(part);
  }
});

test("the page's files have a type, a charset and a long lifetime", async () => {
  const paths = await filesOfPage();
  expect(paths.map((path) => path.replace(/\?.*/, "")).sort()).toEqual([
    "/docs/page.css",
    "/docs/page.js",
    "/docs/swagger-ui-bundle.js",
    "/docs/swagger-ui.css",
  ]);

  for (const path of paths) {
    const { status, headers } = await fetch(url(path));
    expect(status).toBe(200);
    expect(headers.get("Content-Type")).toBe(`text/${path.includes(".css") ? "css" : "javascript"}; charset=utf-8`);
    expect(headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable");
    expect(headers.get("Vary")).toBe("Accept-Encoding");
  }
});

describe("the encoding", () => {
  test.each([
    ["gzip", "gzip"],
    ["br, gzip;q=0.5", "gzip"],
    ["identity", null],
    ["br", null],
    ["gzip;q=0", null],
  ])("of a request that accepts %s is %s", async (accepted, sent) => {
    const response = await fetch(url(await bundlePath()), { headers: { "Accept-Encoding": accepted } });

    expect(response.headers.get("Content-Encoding")).toBe(sent);
    const bytes = Number(response.headers.get("Content-Length"));
    if (sent === "gzip") expect(bytes).toBeLessThan(500_000);
    else expect(bytes).toBe(Buffer.byteLength(bundle));
    expect((await response.text()) === bundle).toBe(true);
  });

  test("has a separate ETag, and HEAD answers as GET without a body", async () => {
    const path = await bundlePath();
    const tagOf = async (accepted: string, method: string) => {
      const response = await fetch(url(path), { method, headers: { "Accept-Encoding": accepted } });
      return response.headers.get("ETag");
    };

    const tags = [await tagOf("gzip", "GET"), await tagOf("identity", "GET")];

    expect(new Set(tags).size).toBe(2);
    expect([await tagOf("gzip", "HEAD"), await tagOf("identity", "HEAD")]).toEqual(tags);
  });
});

test.each([
  ["its own tag", 304, (tag: string) => tag],
  ["its tag, made weak by a proxy, in a list", 304, (tag: string) => `"other", W/${tag}`],
  ["any", 304, () => "*"],
  ["another tag", 200, () => '"other"'],
])("If-None-Match with %s is answered with %s", async (_name, status, header) => {
  const path = await bundlePath();
  const tag = (await fetch(url(path))).headers.get("ETag") ?? "";

  const response = await fetch(url(path), { headers: { "If-None-Match": header(tag) } });

  expect(response.status).toBe(status);
  expect(response.headers.get("ETag")).toBe(tag);
  expect((await response.arrayBuffer()).byteLength === 0).toBe(status === 304);
});

test("a URL without the content's version is checked again on each use", async () => {
  for (const query of ["", "?other"]) {
    const { headers } = await fetch(url(`/docs/swagger-ui.css${query}`));
    expect(headers.get("Cache-Control")).toBe("no-cache");
  }
});

test.each(["package.json", "index.html", "swagger-ui-bundle.js.map", "..%2Fdocs-route.ts", "constructor", "__proto__"])(
  "%s of the package is not served",
  async (name) => {
    const response = await fetch(url(`/docs/${name}`));

    expect(response.status).toBe(404);
    expect(await errorCode(response)).toBe("not_found");
  },
);
