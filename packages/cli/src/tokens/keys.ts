import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { algorithmsFor } from "@fanwire/tokens";
import { CommandError, type Io } from "../io.ts";
import { tokenConfig } from "./check.ts";

export type SigningKey = { readonly key: KeyObject; readonly algorithm: string };

/**
 * Returns the private key of the file, else the secret of the environment. @throws CommandError if there is neither.
 */
export function signingKey(io: Io, keyFile: string | undefined): SigningKey {
  if (keyFile !== undefined) return privateKey(keyFile);
  const { keys } = tokenConfig(io);
  if (keys.kind === "key" && keys.key.type === "secret") return { key: keys.key, algorithm: "HS256" };
  throw new CommandError(
    "There is no key to sign with. Set PUSHER_TOKEN_SECRET, or give a private key with --key-file.",
  );
}

function privateKey(path: string): SigningKey {
  const key = readPrivateKey(path);
  const [algorithm] = algorithmsFor(createPublicKey(key));
  if (algorithm !== undefined) return { key, algorithm };
  throw new CommandError(`${path} must hold an RSA key of at least 2048 bits, a P-256 key or an Ed25519 key.`);
}

function readPrivateKey(path: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new CommandError(`${path} holds no usable private key in PEM: ${(cause as Error).message}`, { cause });
  }
}
