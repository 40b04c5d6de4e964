import { fileURLToPath } from "node:url";
import type { Child } from "../children.ts";
import type { Lab } from "../lab.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** The measured server: `apps/channel` with its default configuration. */
export async function startChannelServer(lab: Lab, name: string): Promise<Child & { readonly port: number }> {
  const child = lab.children.start(name, process.execPath, ["apps/channel/dist/main.js"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      FANWIRE_NATS_URL: lab.natsUrl,
      CHANNEL_PORT: "0",
      CHANNEL_ADMIN_PORT: "0",
      CHANNEL_DRAIN_SECONDS: "0",
    },
  });
  const listening = new Promise<{ port: number; adminPort: number }>((resolve) => {
    child.process.stdout?.on("data", () => {
      const line = child
        .tail()
        .split("\n")
        .find((text) => text.includes("channel server listening"));
      if (line?.endsWith("}")) resolve(JSON.parse(line));
    });
  });
  const { port, adminPort } = await Promise.race([listening, child.died]);
  const isReady = async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok;
  while (!(await Promise.race([isReady(), child.died])));
  return { ...child, port };
}
