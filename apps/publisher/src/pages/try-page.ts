import { html, raw } from "hono/html";
import { tryStyle } from "./try-style.ts";

type Html = ReturnType<typeof html>;

/** `importMap` is JSON. `script` is the URL of the page's module. */
type TryPageParts = { readonly importMap: string; readonly script: string; readonly hasKeys: boolean };

/** Returns a page with a client, a backend and the network between them. The code of its elements is in packages/try-page. */
export function tryPage({ importMap, script, hasKeys }: TryPageParts): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Try Fanwire</title>
<style>${raw(tryStyle)}</style>
<script type="importmap">${raw(importMap)}</script>
<script type="module" src="${script}"></script>
</head>
<body>
<header>
  <h1>Fanwire <small>test page</small></h1>
  <p id="state" role="status">not connected</p>
  <nav><a href="docs">HTTP API</a></nav>
</header>
<main>
<div class="column">${connectionSection}${subscribeSection}${membersSection}${publishSection(hasKeys)}</div>
<div class="column">${publicationsSection}${logSection}</div>
</main>
</body>
</html>`;
}

const connectionSection = html`<section aria-labelledby="connection-title">
<h2 id="connection-title">Connection <small>fanwire.v1</small></h2>
<form id="connect-form">
  <label>Pusher URL <input id="pusher-url" type="url" required spellcheck="false"></label>
  <label>Token, if the pusher requires one <input id="token" autocomplete="off" spellcheck="false"></label>
  <div class="buttons">
    <button type="submit">Connect</button>
    <button type="button" id="disconnect" disabled>Disconnect</button>
  </div>
</form>
<dl>
  <dt>Address</dt><dd id="address">–</dd>
  <dt>Position</dt><dd id="position">–</dd>
  <dt>Recovered</dt><dd id="recovered">–</dd>
</dl>
<button type="button" id="cut" disabled aria-describedby="cut-hint">Cut the network</button>
<p class="hint" id="cut-hint">Simulates a network failure: the connection is lost without a close frame. Cut the network,
publish something durable and restore the network. The client then receives the missed publications, marked as recovered.</p>
</section>`;

const subscribeSection = html`<section aria-labelledby="subscribe-title">
<h2 id="subscribe-title">Subscribe</h2>
<form id="subscribe-form">
  <div class="row">
    <label>Topic or pattern <input id="subscribe-topic" required placeholder="orders.*" autocomplete="off" spellcheck="false"></label>
    <button>Subscribe</button>
  </div>
</form>
<ul id="topics" aria-label="Subscriptions"></ul>
</section>`;

const membersSection = html`<section aria-labelledby="members-title">
<h2 id="members-title">Members <small id="members-count"></small></h2>
<form id="members-form">
  <div class="row">
    <label>Topic to be present on <input id="members-topic" value="lobby" required autocomplete="off" spellcheck="false"></label>
    <button>Enter</button>
    <button type="button" id="leave" disabled>Leave</button>
  </div>
</form>
<ul id="members" aria-label="Members of the topic"></ul>
<p class="hint">Needs a token with a user (<code>sub</code>), and with the topic in <code>topics</code> and <code>presence</code>.</p>
</section>`;

function publishSection(hasKeys: boolean): Html {
  return html`<section aria-labelledby="publish-title">
<h2 id="publish-title">Publish <small>over HTTP, as a backend</small></h2>
<form id="publish-form">
  ${hasKeys && html`<label>API key <input id="api-key" type="password" required autocomplete="off"></label>`}
  <div class="row">
    <label>To <select id="target-kind">
      <option value="topic">a topic</option>
      <option value="everyone">everyone</option>
      <option value="user">a user</option>
      <option value="connection">a connection</option>
    </select></label>
    <label>Name or address <input id="target-name" value="news" required autocomplete="off" spellcheck="false"></label>
  </div>
  <label>Event <input id="event" placeholder="message" autocomplete="off" spellcheck="false"></label>
  <label>Data <textarea id="data" rows="2">hello</textarea></label>
  <label class="check"><input id="durable" type="checkbox" checked> Durable: stored for clients that resume</label>
  <div class="buttons"><button type="submit">Publish</button></div>
  <output id="answer"></output>
</form>
</section>`;
}

const publicationsSection = html`<section aria-labelledby="publications-title">
<header>
  <h2 id="publications-title">Publications <small id="count">0</small></h2>
  <nav><button type="button" id="clear">Clear</button></nav>
</header>
<div class="scroll" tabindex="0" role="region" aria-labelledby="publications-title">
<table>
  <thead><tr>
    <th scope="col">Time</th><th scope="col">Topic</th><th scope="col">Event</th><th scope="col">Data</th><th scope="col">Position</th>
  </tr></thead>
  <tbody id="publications"></tbody>
</table>
</div>
</section>`;

const logSection = html`<section aria-labelledby="log-title">
<h2 id="log-title">Connection states</h2>
<div class="scroll log" tabindex="0" role="region" aria-labelledby="log-title"><ol id="log" role="log"></ol></div>
</section>`;
