import { ConfigError } from "@fanwire/service";
import { type Command, CommanderError } from "commander";
import { CommandError, type Io } from "./io.ts";

/** Runs the command that the arguments name. Returns the exit code: 0, 1 after a failure, 2 for wrong arguments. */
export async function run(createProgram: (io: Io) => Command, io: Io, args: readonly string[]): Promise<number> {
  try {
    await createProgram(io).parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    // Commander has printed its message, or the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof CommandError || error instanceof ConfigError) {
      if (error.message !== "") io.note(`fanwire: ${error.message}`);
      return 1;
    }
    if (io.signal.aborted) return 130;
    throw error;
  }
}
