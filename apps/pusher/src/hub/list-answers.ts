import type { ControlRequest, ListRequest } from "@fanwire/protocol";
import type { Hub } from "./hub.ts";

type AnswerParts = {
  readonly hub: Pick<Hub, "lists">;
  readonly workerId: string;
  readonly maxBytes: number;
};
type Answers = {
  readonly [Command in ListRequest["command"]]: (
    request: Extract<ListRequest, { command: Command }>,
    parts: AnswerParts,
  ) => Promise<object> | object;
};

const answers: Answers = {
  "list-topics": ({ command: _, ...request }, { hub, maxBytes }) => hub.lists.topics(request, "name", maxBytes),
  "busiest-topics": ({ command: _, ...request }, { hub, maxBytes }) => hub.lists.topics(request, "busiest", maxBytes),
  "list-users": ({ command: _, ...request }, { hub, maxBytes }) => hub.lists.users(request, "name", maxBytes),
  "busiest-users": ({ command: _, ...request }, { hub, maxBytes }) => hub.lists.users(request, "busiest", maxBytes),
  "count-subscriptions": ({ topics }, { hub }) => ({ connections: hub.lists.countSubscriptions(topics) }),
  "count-user-connections": ({ users }, { hub }) => ({ connections: hub.lists.countConnectionsOf(users) }),
  "list-connections": ({ command: _, ...request }, { hub, maxBytes }) => hub.lists.connections(request, maxBytes),
  "busiest-connections": ({ command: _, ...request }, { hub, maxBytes }) =>
    hub.lists.busiestConnections(request, maxBytes),
};

export function isListRequest(request: ControlRequest): request is ListRequest {
  return request.command in answers;
}

/**
 * Answers a request for a page of a list.
 *
 * @throws if too many lists wait.
 */
export async function answerList(request: ListRequest, parts: AnswerParts): Promise<object> {
  const answer = answers[request.command] as (request: ListRequest, parts: AnswerParts) => Promise<object> | object; // chosen by its command
  return { worker: parts.workerId, ...(await answer(request, parts)) };
}
