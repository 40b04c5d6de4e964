import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { open, realpath } from "node:fs/promises";

/** Paths of a certificate, with the chain of its issuers, and of its key; both in PEM. */
export type TlsFiles = { readonly certFile: string; readonly keyFile: string };

export type Certificate = {
  /** The files without symbolic links, so that both are read from the same renewal. */
  readonly files: TlsFiles;
  /** Identifies the content of both files. */
  readonly digest: string;
  /** Unix time in milliseconds. */
  readonly expiresAt: number;
  readonly names: string;
};

export type ReadCertificate =
  | { readonly ok: true; readonly certificate: Certificate }
  | { readonly ok: false; readonly problem: string; readonly digest: string };

/** Maximum bytes of a file. A chain has a few KiB. */
const MAX_FILE_BYTES = 1_048_576;

/** Reads both files and checks that they fit together and are valid at `now`, in milliseconds since 1970. */
export async function readCertificate(files: TlsFiles, now = Date.now()): Promise<ReadCertificate> {
  let digest = "";
  try {
    const real = { certFile: await realpath(files.certFile), keyFile: await realpath(files.keyFile) };
    const [cert, key] = [await readPem(real.certFile), await readPem(real.keyFile)];
    digest = createHash("sha256").update(cert).update("\0").update(key).digest("hex");
    return { ok: true, certificate: { files: real, digest, ...checkPair(cert, key, now) } };
  } catch (error) {
    return { ok: false, problem: problemOf(error, files), digest };
  }
}

async function readPem(path: string): Promise<Buffer> {
  await using file = await open(path);
  const stats = await file.stat();
  if (!stats.isFile()) throw new Problem(`${path} is not a file`);
  if (stats.size > MAX_FILE_BYTES) throw new Problem(`${path} has more than ${MAX_FILE_BYTES} bytes`);
  return await file.readFile();
}

class Problem extends Error {}

function checkPair(cert: Buffer, key: Buffer, now: number): Pick<Certificate, "expiresAt" | "names"> {
  const certificate = tryTo(() => new X509Certificate(cert), "the certificate file holds no certificate in PEM");
  if (/ENCRYPTED/.test(key.toString("latin1"))) throw new Problem("the key is encrypted; store it without a password");
  const privateKey = tryTo(() => createPrivateKey(key), "the key file holds no private key in PEM");
  if (!certificate.checkPrivateKey(privateKey)) throw new Problem("the key does not belong to the certificate");
  const [begins, expires] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (now >= expires) throw new Problem(`the certificate expired at ${new Date(expires).toISOString()}`);
  if (now < begins) throw new Problem(`the certificate is not valid before ${new Date(begins).toISOString()}`);
  return { expiresAt: expires, names: certificate.subjectAltName ?? certificate.subject };
}

function tryTo<T>(parse: () => T, problem: string): T {
  try {
    return parse();
  } catch (cause) {
    throw new Problem(problem, { cause });
  }
}

function problemOf(error: unknown, { certFile, keyFile }: TlsFiles): string {
  const { message } = error as Error;
  const problem = error instanceof Problem ? message : `a file cannot be read: ${message}`;
  return `${problem} (certificate ${certFile}, key ${keyFile})`;
}
