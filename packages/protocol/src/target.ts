import type { ConnectionAddress } from "./connection-address.ts";

/** Who a publication is for. */
export type Target =
  | { readonly kind: "everyone" }
  | { readonly kind: "topic"; readonly topic: string }
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "connection"; readonly connection: ConnectionAddress };

/** Targets whose publications can be stored: a connection is gone before anybody could come back to it. */
export type DurableTarget = Exclude<Target, { kind: "connection" }>;
