import { formatPosition, type Subjects } from "@fanwire/protocol";
import { JetStreamApiCodes, type JetStreamManager, type StreamInfo } from "@nats-io/jetstream";
import { isApiError } from "../connection/api-error.ts";
import { epochFrom } from "./epoch.ts";
import { failed, failureOf } from "./failures.ts";
import type { Outcome, StreamDescription } from "./history.ts";
import { isDescribedByLeader } from "./leader-requests.ts";

/** Describes the stream for people. Unlike other requests, this one does not create a missing stream. */
export async function describeStream(
  jsm: JetStreamManager,
  { historyStream }: Subjects,
): Promise<Outcome<{ readonly stream: StreamDescription }>> {
  try {
    const info = await jsm.streams.info(historyStream);
    if (!isDescribedByLeader(info)) return failed("unusable", "the history has no leader", true);
    return { ok: true, stream: descriptionOf(info) };
  } catch (error) {
    if (isApiError(error, JetStreamApiCodes.StreamNotFound)) {
      return failed("unusable", "the history stream does not exist", true);
    }
    return failureOf(error);
  }
}

export function descriptionOf({ config, state, created, cluster }: StreamInfo): StreamDescription {
  const epoch = epochFrom(created, config.description);
  const position = (sequence: number) => formatPosition({ epoch, sequence });
  const { leader, replicas = [] } = cluster ?? {};
  return {
    messages: state.messages,
    bytes: state.bytes,
    maxBytes: config.max_bytes > 0 ? config.max_bytes : null,
    maxAgeSeconds: config.max_age > 0 ? config.max_age / 1_000_000_000 : null,
    firstPosition: state.messages > 0 ? position(state.first_seq) : null,
    lastPosition: position(state.last_seq),
    ...(leader && { leader }),
    replicas: replicas.map(({ name, current, offline, lag = 0 }) => ({
      name,
      isCurrent: current && !offline,
      lag,
    })),
  };
}
