/** Version of all services, which are released together. */
export const VERSION = "0.1.0";
