/** Names of the NATS headers a publication may carry beside its content. All are optional. */
export const headerNames = {
  /** The application's name for the publication; {@link DEFAULT_EVENT} when absent. */
  event: "Event",
  /** Address of a connection that must not get it. */
  except: "Except",
  /** The publisher's own id for it. */
  id: "Id",
  /** The bridge it came over: {@link VIA_CHANNEL}. That bridge does not carry it back. */
  via: "Via",
} as const;

/** Came from a Workerman peer, through a channel server. */
export const VIA_CHANNEL = "channel";

export const DEFAULT_EVENT = "message";
