import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { connect } from "node:tls";
import type { Certificate } from "./certificates.ts";

/** Files that a pusher serves, exchanged as certbot and Kubernetes do: by a symbolic link that another one replaces. */
export type ServedFiles = ReturnType<typeof serveFiles>;

export function serveFiles(first: Certificate) {
  const folder = mkdtempSync(join(tmpdir(), "fanwire-tls-"));
  let generation = 0;
  const replace = ({ certFile, keyFile }: Certificate) => {
    generation++;
    const [cert, key] = [join(folder, `cert${generation}.pem`), join(folder, `key${generation}.pem`)];
    writeFileSync(cert, readFileSync(certFile));
    writeFileSync(key, readFileSync(keyFile), { mode: 0o600 });
    for (const [name, target] of Object.entries({ "cert.pem": cert, "key.pem": key })) {
      symlinkSync(basename(target), join(folder, `${name}.new`));
      renameSync(join(folder, `${name}.new`), join(folder, name));
    }
  };
  replace(first);
  return {
    env: { PUSHER_TLS_CERT_FILE: join(folder, "cert.pem"), PUSHER_TLS_KEY_FILE: join(folder, "key.pem") },
    replace,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Returns the serial number of the certificate that a new connection is given; undefined if the connection fails. */
export function servedSerial(port: number, ca: Buffer, servername = "localhost"): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, ca, servername }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", () => resolve(undefined));
  });
}
