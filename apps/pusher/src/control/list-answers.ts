import type { ControlRequest, ListRequest } from "@fanwire/protocol";
import type { Lists } from "./lists.ts";

type AnswerParts = {
  readonly lists: Lists;
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
  "list-topics": ({ command: _, ...request }, { lists, maxBytes }) => lists.topics(request, "name", maxBytes),
  "busiest-topics": ({ command: _, ...request }, { lists, maxBytes }) => lists.topics(request, "busiest", maxBytes),
  "list-users": ({ command: _, ...request }, { lists, maxBytes }) => lists.users(request, "name", maxBytes),
  "busiest-users": ({ command: _, ...request }, { lists, maxBytes }) => lists.users(request, "busiest", maxBytes),
  "count-subscriptions": ({ topics }, { lists }) => ({ connections: lists.countSubscriptions(topics) }),
  "count-user-connections": ({ users }, { lists }) => ({ connections: lists.countConnectionsOf(users) }),
  "list-connections": ({ command: _, ...request }, { lists, maxBytes }) => lists.connections(request, maxBytes),
  "busiest-connections": ({ command: _, ...request }, { lists, maxBytes }) =>
    lists.busiestConnections(request, maxBytes),
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
