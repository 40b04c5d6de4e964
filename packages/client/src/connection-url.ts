/** Fits into one packet of any network, because a worker without a proxy refuses a request line in several packets. */
const MAX_LENGTH = 1_200;

/**
 * Returns the URL of a connection with as many topics as fit, which `asked` lists. The client subscribes to the others
 * by commands.
 */
export function connectionUrl(options: {
  readonly base: URL;
  readonly token: string | undefined;
  readonly since: string | undefined;
  readonly topics: readonly string[];
}): { readonly url: string; readonly asked: ReadonlySet<string> } {
  const { base, token, since, topics } = options;
  const url = new URL(base);
  url.protocol = url.protocol.replace("http", "ws");
  if (token !== undefined) url.searchParams.set("token", token);
  if (since !== undefined) url.searchParams.set("since", since);

  const asked = new Set<string>();
  for (const topic of topics) {
    if (url.href.length + `&${new URLSearchParams({ topic })}`.length > MAX_LENGTH) break;
    url.searchParams.append("topic", topic);
    asked.add(topic);
  }
  return { url: url.href, asked };
}
