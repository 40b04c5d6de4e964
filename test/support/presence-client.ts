import { connectFanwire, type FanwireMessage } from "./fanwire-client.ts";
import { signToken } from "./tokens.ts";

type Listed = { readonly user: string; readonly info?: unknown };

export type PresenceClient = Awaited<ReturnType<typeof connectPresence>>;

/** Connects a fanwire.v1 client that may join all topics with presence. */
export async function connectPresence(
  { url }: { readonly url: string },
  user: string,
  claims: Record<string, unknown> = {},
) {
  const client = await connectFanwire(url, { token: await presenceToken(user, claims) });
  const topics = new Map<unknown, string>();
  return {
    client,
    user,
    /** Subscribes with presence. Resolves with the reply. */
    join: async (topic: string) => {
      const reply = await client.ask({ command: "subscribe", topic, presence: true });
      topics.set(reply.id, topic);
      return reply;
    },
    /** Changes of the topic so far: `+user` and `-user`. */
    changes: (topic: string) =>
      client.messages
        .filter((message) => message.type === "presence" && message.topic === topic)
        .flatMap((message) => [
          ...listed(message.joined).map((member) => `+${member.user}`),
          ...(message.left as string[]).map((left) => `-${left}`),
        ]),
    /**
     * Returns the members that the client knows from its last list and the changes after it, sorted. Throws if a change
     * contradicts what came before it.
     */
    members: (topic: string) => {
      let members: Set<string> | undefined;
      for (const message of client.messages) {
        if (message.type === "reply" && topics.get(message.id) === topic && message.members !== undefined) {
          members = new Set(listed(message.members).map((member) => member.user));
        } else if (message.type === "presence" && message.topic === topic && members !== undefined) {
          apply(message, members);
        } else continue;
        if (message.count !== members.size) throw new Error(`${user}: ${members.size} members in ${text(message)}`);
      }
      return [...(members ?? [])].sort();
    },
    close: () => client.socket.close(),
  };
}

export function presenceToken(user: string, claims: Record<string, unknown> = {}): Promise<string> {
  return signToken({ sub: user, topics: [">", "private-*"], presence: [">", "private-*"], ...claims });
}

function apply(message: FanwireMessage, members: Set<string>): void {
  for (const { user } of listed(message.joined)) {
    if (members.has(user)) throw new Error(`${user} joined twice: ${text(message)}`);
    members.add(user);
  }
  for (const user of message.left as string[]) {
    if (!members.delete(user)) throw new Error(`${user} left twice: ${text(message)}`);
  }
}

function listed(members: unknown): readonly Listed[] {
  return members as readonly Listed[]; // by the protocol
}

function text(message: FanwireMessage): string {
  return JSON.stringify(message).slice(0, 200);
}
