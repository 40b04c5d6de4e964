/**
 * Names of the client protocols that pushers serve, for filters and descriptions. A test of the pusher compares its
 * list.
 */
export const protocolNames = ["raw", "fanwire.v1", "sse", "pusher"] as const;
