import type { ApiError, StreamInfo } from "@nats-io/jetstream";
import type { Msg, NatsConnection, NatsConnectionImpl } from "@nats-io/transport-node";
import type { NatsBus } from "../connection/nats-bus.ts";

/** Maximum wait for the leader's answer when another node answered first. */
const BETTER_WITHIN_MS = 500;
const STREAM_INFO = "io.nats.jetstream.api.v1.stream_info_response";
/** `JetStream system temporarily unavailable` and `JetStream cluster can not handle request`. */
const NOT_SERVING: ReadonlySet<number> = new Set([10008, 10009]);

/**
 * Returns a connection for the JetStream client, which may exist before the bus is connected. Every node receives a
 * JetStream request, and nodes other than the leader may answer it first: a node that is cut off refuses the request,
 * and one that has just started describes a stream as it was when it stopped. Such an answer is used only when no
 * better one comes.
 */
export function askingLeaders(bus: NatsBus): NatsConnection {
  const request: NatsConnection["request"] = async (subject, payload, options) => {
    const first = await bus.connection.request(subject, payload, options);
    return isOfLeader(first) ? first : ((await betterAnswer(bus, subject, payload)) ?? first);
  };
  const connection = {
    request,
    options: { inboxPrefix: bus.inboxPrefix },
    get features() {
      return (bus.connection as NatsConnectionImpl).features;
    },
  };
  return connection as unknown as NatsConnection; // the members above are all that the JetStream manager uses
}

/**
 * Whether the leader described the stream. A node never lists itself among the replicas. Without a cluster there is one
 * node.
 */
export function isDescribedByLeader({ cluster }: { readonly cluster?: StreamInfo["cluster"] | undefined }): boolean {
  if (cluster === undefined) return true;
  const { leader, replicas = [] } = cluster;
  return Boolean(leader) && !replicas.some(({ name }) => name === leader);
}

/** Returns a text that changes when a stream is recreated, or another node leads it. */
export function termOf({
  created,
  cluster,
}: Pick<StreamInfo, "created"> & { readonly cluster?: { leader?: string; leader_since?: string } }): string {
  return [created, cluster?.leader, cluster?.leader_since].join(" ");
}

function betterAnswer(bus: NatsBus, subject: string, payload: Parameters<NatsConnection["request"]>[1]) {
  const { connection } = bus;
  const inbox = bus.createInbox();
  return new Promise<Msg | undefined>((resolve) => {
    const end = (answer?: Msg) => {
      clearTimeout(timer);
      subscription.unsubscribe();
      resolve(answer);
    };
    const timer = setTimeout(end, BETTER_WITHIN_MS);
    const subscription = connection.subscribe(inbox, {
      callback: (error, answer) => {
        if (error) end();
        else if (isOfLeader(answer)) end(answer);
      },
    });
    connection.publish(subject, payload, { reply: inbox });
  });
}

type Answer = { readonly type?: string; readonly error?: ApiError } & Pick<StreamInfo, "cluster">;

/** Returns false for an answer that cannot be read. An error in the callback above would end the client's reader. */
function isOfLeader(answer: Msg): boolean {
  try {
    const { type, error, cluster } = answer.json<Answer>();
    if (error !== undefined) return !NOT_SERVING.has(error.err_code);
    return type !== STREAM_INFO || isDescribedByLeader({ cluster });
  } catch {
    return false;
  }
}
