import type { SharedSubscription } from "./shared-subscription.ts";

type Known = { readonly versions: string; readonly haveCommon: boolean };

/**
 * Finds out whether two subscriptions have a live connection with positions in common. Caches that until delivery to a connection
 * starts or stops.
 */
export class CommonConnections {
  readonly #known = new WeakMap<SharedSubscription, WeakMap<SharedSubscription, Known>>();

  have(one: SharedSubscription, other: SharedSubscription): boolean {
    const ofOne = this.#known.get(one) ?? new WeakMap<SharedSubscription, Known>();
    this.#known.set(one, ofOne);
    const versions = `${one.version} ${other.version}`;
    const known = ofOne.get(other);
    if (known?.versions === versions) return known.haveCommon;
    const haveCommon = findCommon(one, other);
    ofOne.set(other, { versions, haveCommon });
    return haveCommon;
  }
}

function findCommon(one: SharedSubscription, other: SharedSubscription): boolean {
  const [few, many] = one.subscribers <= other.subscribers ? [one, other] : [other, one];
  for (const connection of few.resumableConnections()) if (many.has(connection)) return true;
  return false;
}
