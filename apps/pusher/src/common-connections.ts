import type { Listening } from "./listening.ts";

type Known = { readonly versions: string; readonly haveCommon: boolean };

/** Whether connections receive a publication by two subscriptions. Looked up anew only when somebody has joined or left. */
export class CommonConnections {
  readonly #known = new WeakMap<Listening, WeakMap<Listening, Known>>();

  have(one: Listening, other: Listening): boolean {
    const ofOne = this.#known.get(one) ?? new WeakMap<Listening, Known>();
    this.#known.set(one, ofOne);
    const versions = `${one.version} ${other.version}`;
    const known = ofOne.get(other);
    if (known?.versions === versions) return known.haveCommon;
    const haveCommon = findCommon(one, other);
    ofOne.set(other, { versions, haveCommon });
    return haveCommon;
  }
}

function findCommon(one: Listening, other: Listening): boolean {
  const [few, many] = one.followers <= other.followers ? [one, other] : [other, one];
  for (const connection of few.joined()) if (many.has(connection)) return true;
  return false;
}
