import * as z from "zod";
import { protocolNames } from "./protocol-names.ts";

/** One connection, as `GET /v1/connections/{address}` shows it. */
export const connectionDescription = z.object({
  address: z.string(),
  protocol: z.string().describe(`Name of the client protocol: \`${protocolNames.join("`, `")}\`.`),
  /** The user's id in the application, from the token. */
  user: z.string().optional(),
  /** Topics and patterns to which it is subscribed. */
  topics: z.array(z.string()),
  /** Number of further topics, when they do not all fit into one reply. */
  omittedTopics: z.int().optional(),
  remoteAddress: z.string(),
  /** ISO 8601, UTC. */
  openedAt: z.string(),
  /** Bytes written to the connection that the network has not accepted yet. */
  unsentBytes: z.int(),
});
export type ConnectionDescription = z.infer<typeof connectionDescription>;
