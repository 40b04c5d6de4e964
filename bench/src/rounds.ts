import type { Server } from "./servers/server.ts";

/** Every server, measured once. */
export type Round<Sample> = ReadonlyMap<Server, Sample>;

/**
 * In a round the servers are measured one after the other: what changes on the machine from round to round hits all alike.
 * Each round begins one server further on, so that none always follows the same one.
 */
export async function measureRounds<Sample>(
  servers: readonly Server[],
  count: number,
  measure: (server: Server, round: number) => Promise<Sample>,
): Promise<Round<Sample>[]> {
  const rounds: Round<Sample>[] = [];
  for (let index = 0; index < count; index++) {
    const first = index % servers.length;
    const round = new Map<Server, Sample>();
    for (const server of [...servers.slice(first), ...servers.slice(0, first)]) {
      round.set(server, await measure(server, index));
    }
    rounds.push(round);
  }
  return rounds;
}
