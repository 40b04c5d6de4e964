import { type ConsoleFiles, readConsoleFiles } from "@fanwire/console";
import { PageFiles, SCRIPT, STYLE } from "./page-files.ts";

export type ConsoleFileName = "console.js" | "console.css";

/** Returns the files of the page `/console`. They are read together, because they may have to be bundled. */
export function consoleFiles(): PageFiles<ConsoleFileName> {
  let reading: Promise<ConsoleFiles> | undefined;
  const read = () => {
    reading ??= readConsoleFiles().catch((error) => {
      reading = undefined;
      throw error;
    });
    return reading;
  };
  return new PageFiles("console", {
    "console.js": { type: SCRIPT, read: async () => (await read()).script },
    "console.css": { type: STYLE, read: async () => (await read()).style },
  });
}
