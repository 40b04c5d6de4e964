import { html, raw } from "hono/html";

/** The only style of the page, which its policy allows by hash. */
export const startStyle = `:root { color-scheme: light dark; }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
a { color: light-dark(#0b5cad, #7db9f5); }
pre { background: light-dark(#f2f4f6, #22262b); padding: 0.8rem 1rem; overflow-x: auto; border-radius: 6px; }
`;

type StartPageParts = {
  readonly hasConsole: boolean;
  readonly hasKeys: boolean;
  /** Origin by which the reader has reached the publisher. */
  readonly origin: string;
  /** Host name of it, where the pusher may be too. */
  readonly host: string;
};

/** Returns the page for people who open the publisher's address in a browser. */
export function startPage({ hasConsole, hasKeys, origin, host }: StartPageParts) {
  const key = hasKeys ? " \\\n  -H 'Authorization: Bearer <key>'" : "";
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Start page of a Fanwire publisher">
<title>Fanwire publisher</title>
<link rel="icon" href="data:,">
<style>${raw(startStyle)}</style>
</head>
<body>
<main>
<h1>Fanwire publisher</h1>
<p>This is the HTTP API of a push cluster. Back ends publish here; browsers connect to a pusher.</p>
<ul>
${hasConsole && html`<li><a href="console">Console</a>: try the cluster, and see its connections, users and topics</li>`}
<li><a href="docs">API reference</a>: every route, with a form that sends the request</li>
<li><a href="openapi.json">openapi.json</a>: the same for tools</li>
</ul>
<h2>Receive</h2>
<p>Pushers serve WebSockets and server-sent events, on port 4236 unless configured otherwise:</p>
<pre>curl -N 'http://${host}:4236/sse?topic=orders.*'</pre>
<h2>Publish</h2>
<pre>curl ${origin}/v1/publications \\
  -H 'Content-Type: application/json'${key} \\
  -d '{"target": {"topic": "orders.7"}, "data": {"total": 9}}'</pre>
${hasKeys && html`<p>Requests need one of the keys in <code>PUBLISHER_API_KEYS</code>.</p>`}
</main>
</body>
</html>`;
}
