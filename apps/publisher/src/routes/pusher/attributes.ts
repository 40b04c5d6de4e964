import { type ChannelKind, channelKind } from "@fanwire/pusher-protocol";

/** Names what a request may ask about a channel. */
export type Attribute = "user_count" | "subscription_count" | "cache";

/** Whether channels of this kind have the attribute. */
export function hasAttribute({ isPresence, isCache }: ChannelKind, attribute: Attribute): boolean {
  switch (attribute) {
    case "user_count":
      return isPresence;
    case "subscription_count":
      return !isPresence;
    case "cache":
      return isCache;
  }
}

/**
 * Parses a comma-separated list.
 *
 * @returns the first name that is not allowed as `unknown`.
 */
export function readAttributes<Allowed extends Attribute>(
  text: string,
  allowed: readonly Allowed[],
): { readonly attributes: ReadonlySet<Allowed> } | { readonly unknown: string } {
  const attributes = new Set<Allowed>();
  for (const name of text.split(",").map((each) => each.trim())) {
    if (name === "") continue;
    const known = allowed.find((each) => each === name);
    if (known === undefined) return { unknown: name };
    attributes.add(known);
  }
  return { attributes };
}

/** Returns the first attribute that the channel's kind does not have. */
export function lackedAttribute(channel: string, attributes: Iterable<Attribute>): Attribute | undefined {
  const kind = channelKind(channel);
  for (const attribute of attributes) if (!hasAttribute(kind, attribute)) return attribute;
  return undefined;
}
