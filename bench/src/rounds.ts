import type { RunSettings } from "./scenarios/scenario.ts";
import { Absent } from "./servers/server.ts";

/** Something that is measured in turns: a server, or a variant of one. */
export type Contestant = { readonly name: string };

/** One sample of every contestant that this machine has. */
export type Round<Sample> = ReadonlyMap<string, Sample>;

/**
 * Measures all contestants one after the other in each round, so that changes of the machine between rounds affect
 * all of them. Each round begins with the next contestant, so that none always follows the same one.
 */
export async function measureRounds<Of extends Contestant, Sample>(
  all: readonly Of[],
  { label, settings }: { label: string; settings: RunSettings },
  { measure, inShort }: { measure(contestant: Of): Promise<Sample>; inShort(sample: Sample): string },
): Promise<Round<Sample>[]> {
  const { rounds: count, progress } = settings;
  // A quick run needs only the first and the last.
  const isShort = settings.size === "quick" && settings.servers.length === 0;
  const contestants = all.filter((_, index) => !isShort || index === 0 || index === all.length - 1);
  const rounds: Round<Sample>[] = [];
  for (let index = 0; index < count; index++) {
    const first = index % contestants.length;
    const round = new Map<string, Sample>();
    for (const contestant of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      const at = `${label} ${index + 1}/${count} ${contestant.name}`;
      progress(`${at} …`);
      try {
        const sample = await measure(contestant);
        round.set(contestant.name, sample);
        progress(`${at}: ${inShort(sample)}`);
      } catch (error) {
        if (!(error instanceof Absent)) throw error;
        progress(`${at}: skipped, ${error.message}`);
      }
    }
    rounds.push(round);
  }
  return rounds;
}
