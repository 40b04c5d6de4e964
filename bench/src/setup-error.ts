/** This machine is not set up for the run. The message contains advice. */
export class SetupError extends Error {}
