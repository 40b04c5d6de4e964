import { VERSION } from "@fanwire/service";
import { Command } from "commander";
import { addDoctor } from "./commands/doctor.ts";
import { addPublish } from "./commands/publish.ts";
import { addTail } from "./commands/tail.ts";
import { addToken } from "./commands/token.ts";
import { addTop } from "./commands/top.ts";
import type { Io } from "./io.ts";

const ENVIRONMENT = `
Environment:
  FANWIRE_API_URL     URL of a publisher, default http://127.0.0.1 and PUBLISHER_PORT
  FANWIRE_API_KEY     API key; default: the first full key of PUBLISHER_API_KEYS
  FANWIRE_CLIENT_URL  URL of a pusher, default ws://127.0.0.1 and PUSHER_PORT
  FANWIRE_TOKEN       token for fanwire tail; default: one signed with PUSHER_TOKEN_SECRET
  NO_COLOR            no colours
Tokens and the doctor read the variables of the services as well: see docs/configuration.md.`;

/** The whole command line. Every command has --help, and --json for programs that read its output. */
export function createProgram(io: Io): Command {
  const program = new Command("fanwire")
    .description("Command line of Fanwire, a push cluster on NATS.")
    .version(VERSION)
    .showHelpAfterError("Run the command with --help for its options.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.write(text),
      writeErr: (text) => io.note(text.trimEnd()),
      getOutHasColors: () => io.hasColors,
      getErrHasColors: () => io.hasColors,
    })
    .addHelpText("after", ENVIRONMENT);
  for (const add of [addPublish, addTail, addTop, addToken, addDoctor]) add(program, io);
  return program;
}
