import type { ConnectionAddress } from "./connection-address.ts";

/** Receivers of a publication. */
export type Target =
  | { readonly kind: "everyone" }
  | { readonly kind: "topic"; readonly topic: string }
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "connection"; readonly connection: ConnectionAddress };

/** Targets whose publications can be stored. A connection is not one, because nobody can resume it after its end. */
export type DurableTarget = Exclude<Target, { kind: "connection" }>;
