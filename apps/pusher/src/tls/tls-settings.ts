import { ConfigError, type readSettings, setting } from "@fanwire/service";
import { type Certificate, readCertificate, type TlsFiles } from "./certificate.ts";

export const tlsSettings = {
  PUSHER_TLS_CERT_FILE: setting
    .optionalText()
    .describe(
      "Path of the certificate and its chain (PEM), with PUSHER_TLS_KEY_FILE: the port of the pusher is then served with TLS only. A renewed file is loaded within seconds, and open connections stay.",
    ),
  PUSHER_TLS_KEY_FILE: setting.optionalText().describe("Path of the certificate's key (PEM), without a password."),
};

type TlsValues = ReturnType<typeof readSettings<typeof tlsSettings>>;

/** @throws ConfigError if only one of the variables is set. */
export function tlsFilesFrom(values: TlsValues): TlsFiles | undefined {
  const { PUSHER_TLS_CERT_FILE: certFile, PUSHER_TLS_KEY_FILE: keyFile } = values;
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  if (certFile === undefined && keyFile === undefined) return undefined;
  throw new ConfigError("PUSHER_TLS_CERT_FILE and PUSHER_TLS_KEY_FILE need each other. Set both or none.");
}

/** @throws ConfigError with what is wrong about the files. */
export async function readServedCertificate(files: TlsFiles): Promise<Certificate> {
  const read = await readCertificate(files);
  if (read.ok) return read.certificate;
  throw new ConfigError(`PUSHER_TLS_CERT_FILE and PUSHER_TLS_KEY_FILE cannot be served: ${read.problem}`);
}
