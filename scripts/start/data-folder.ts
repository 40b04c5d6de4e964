import { access, constants, mkdir } from "node:fs/promises";

/** Creates the folder for data and logs. Returns what to do when it cannot be written, or `undefined`. */
export async function dataFolderProblem(folder: string): Promise<string | undefined> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `npm start cannot write to ${folder} (${reason}). Use a clone in a folder that you may write to.`;
  }
}
