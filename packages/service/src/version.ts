/** Version of all services of one checkout; they are released together. */
export const VERSION = "0.1.0";
