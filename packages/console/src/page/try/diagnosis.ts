/** Outcome of a request to a URL. A browser hides the reason of a failure, so there are three outcomes only. */
export type Probe =
  /** The page may read the answer. */
  | { readonly outcome: "readable"; readonly status: number; readonly type: string; readonly body: string }
  /** A server answers HTTP, and the page may not read the answer. */
  | { readonly outcome: "opaque" }
  /** No answer: nothing listens, a name without an address, a firewall, or a certificate that the browser refuses. */
  | { readonly outcome: "nothing" };

/** Sends a GET request. `isReadable`: with the rules for other origins, under which the answer may be read. */
type Prober = (url: string, isReadable: boolean) => Promise<Probe>;

type Page = { readonly href: string; readonly probe: Prober };

/** Ports of other parts of the cluster, by their defaults. */
const OTHER_PORTS: Readonly<Record<string, string>> = {
  "2206": "the Workerman Channel server",
  "4222": "NATS",
  "8222": "the monitoring page of NATS",
  "9206": "the admin port of the channel server",
  "9236": "the admin port of the pusher",
  "9237": "the admin port of the publisher",
};

/** Returns sentences about why no WebSocket opens at `address`, as far as a browser can know. */
export async function diagnose(address: string, { href, probe }: Page): Promise<string[]> {
  if (!URL.canParse(address)) return ["This is not a URL. The address of a pusher looks like ws://localhost:4236/."];
  const url = new URL(address);
  const page = new URL(href);
  const secure = url.protocol === "wss:" || url.protocol === "https:";
  if (!["ws:", "wss:", "http:", "https:"].includes(url.protocol)) {
    return [`A pusher has the scheme ws or wss, not ${url.protocol.slice(0, -1)}.`];
  }
  if (page.protocol === "https:" && !secure && !isLocal(url.hostname)) {
    return ["This page came over https, so the browser blocks ws. Use the pusher's wss address."];
  }
  if (url.host === page.host) {
    return [
      "This is the address of the publisher, which serves this page. The pusher has another port, by default 4236.",
    ];
  }
  const hints = portHint(url);
  const found = await probe(httpOf(url, secure), false);
  if (found.outcome === "nothing") return [...(await silent(url, secure, probe)), ...hints];
  return [...(await answering(url, secure, page.origin, probe)), ...hints];
}

/** The port does not answer HTTP with the given scheme. */
async function silent(url: URL, secure: boolean, probe: Prober): Promise<string[]> {
  const other = await probe(httpOf(url, !secure), false);
  if (other.outcome !== "nothing") {
    return secure
      ? ["The port answers without TLS. Use ws instead of wss."]
      : ["The port answers with TLS only. Use wss instead of ws."];
  }
  const certificate = `Or the browser refuses its certificate: open https://${url.host}/ in a tab to see why.`;
  return [
    `Nothing answers at ${url.host}. Check that the pusher runs, that host and port are right, and that no firewall or browser extension blocks it.`,
    ...(secure ? [certificate] : []),
  ];
}

/** A server answers HTTP. The pusher's event stream is readable for pages that may connect. */
async function answering(url: URL, secure: boolean, origin: string, probe: Prober): Promise<string[]> {
  const stream = new URL("sse", httpOf(url, secure));
  const found = await probe(stream.href, true);
  if (found.outcome === "readable" && found.type.startsWith("text/event-stream")) {
    if (found.body.startsWith(":"))
      return [`The pusher answers, and turns connections away now: ${found.body.slice(1).trim()}.`];
    return [
      "A pusher answers here over HTTP, but no WebSocket opens. A proxy on the way may not forward WebSockets, or the path or the token is wrong.",
    ];
  }
  if (found.outcome === "readable") {
    return [
      `A server answers with status ${found.status}, which no pusher gives here. ${found.body.slice(0, 200)}`.trim(),
    ];
  }
  return [
    `A server answers HTTP at ${url.host}, and this page may not read what. It is no pusher, or a pusher that refuses the origin of this page: then add ${origin} to PUSHER_ALLOWED_ORIGINS.`,
  ];
}

function portHint({ port }: URL): string[] {
  const part = OTHER_PORTS[port];
  return part === undefined ? [] : [`Port ${port} is usually ${part}. A pusher has port 4236 by default.`];
}

function httpOf(url: URL, secure: boolean): string {
  return `${secure ? "https" : "http"}://${url.host}/`;
}

/** Browsers let secure pages connect to the own machine without TLS. */
function isLocal(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host.startsWith("127.") || host === "[::1]";
}
