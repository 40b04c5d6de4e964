import { channelOf, type PusherApp, topicOf } from "@fanwire/pusher-protocol";
import type { Cluster } from "../../cluster/cluster-client.ts";
import { ApiError } from "../../http/errors.ts";
import { throwFailure } from "../failures.ts";
import type { Attribute } from "./attributes.ts";
import { channelInfos } from "./channel-counts.ts";

/** Topics that one question asks the workers for. */
const PAGE = 2_500;
/** Maximum characters of a reply, which the publisher holds in memory. */
const MAX_REPLY = 16_777_216;
/** Maximum number of concurrent lists. */
const MAX_LISTS = 8;

type Channel = { readonly name: string; readonly connections: number };
type ListRequest = { readonly prefix: string; readonly wanted: ReadonlySet<Attribute> };

/** Lists the occupied channels of apps. */
export class ChannelLists {
  readonly #cluster: Cluster;
  #lists = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * Returns the reply as JSON, because an object of all channels would be serialized in one tick. Channels that are
   * occupied throughout are in it.
   *
   * @throws ApiError if a worker does not answer, because its channels would be missing.
   */
  async read(app: PusherApp, request: ListRequest): Promise<string> {
    if (this.#lists >= MAX_LISTS) throw new ApiError("too_many_requests");
    this.#lists++;
    try {
      return await this.#read(app, request);
    } finally {
      this.#lists--;
    }
  }

  async #read(app: PusherApp, { prefix, wanted }: ListRequest): Promise<string> {
    const parts: string[] = [];
    let length = 0;
    let after: string | undefined;
    do {
      const listed = await this.#cluster.lists.names("topics", {
        prefix: topicOf(app, prefix),
        limit: PAGE,
        ...(after && { after }),
      });
      if (!listed.ok) return throwFailure(listed);
      if (listed.complete === false) throw new ApiError("worker_timeout", { message: INCOMPLETE });
      const channels = listed.items.flatMap(([topic, connections]) => {
        const name = channelOf(app, topic);
        return name === undefined ? [] : [{ name, connections }];
      });
      const text = await this.#encode(app, channels, wanted);
      if (text !== "") parts.push(text);
      length += text.length;
      if (length > MAX_REPLY) throw tooMany();
      after = listed.next;
    } while (after !== undefined);
    return `{"channels":{${parts.join(",")}}}`;
  }

  async #encode(app: PusherApp, channels: readonly Channel[], wanted: ReadonlySet<Attribute>): Promise<string> {
    const infos = await this.#infos(app, channels, wanted);
    return channels.map(({ name }, at) => `${JSON.stringify(name)}:${JSON.stringify(infos[at] ?? {})}`).join(",");
  }

  async #infos(app: PusherApp, channels: readonly Channel[], wanted: ReadonlySet<Attribute>) {
    if (wanted.size === 0) return [];
    const found = await channelInfos(this.#cluster, app, { channels, wanted });
    return found.ok ? found.infos : throwFailure(found);
  }
}

const INCOMPLETE = "Not all workers that may run have answered, so channels may be missing. Retry later.";

function tooMany(): ApiError {
  return new ApiError("invalid_pusher_request", {
    message: "There are too many channels for one reply. Send a longer filter_by_prefix.",
  });
}
