/** This machine is not set up for the run; the message says what to do about it. */
export class SetupError extends Error {}
