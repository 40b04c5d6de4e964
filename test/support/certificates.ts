import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

export type Certificate = { readonly certFile: string; readonly keyFile: string };

export type Authority = ReturnType<typeof createAuthority>;

/** Creates a certificate authority, whose keys are deleted when it is disposed of. */
export function createAuthority() {
  const folder = mkdtempSync(join(tmpdir(), "fanwire-ca-"));
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const [caFile, caKeyFile] = [file("ca.pem"), file("ca-key.pem")];
  openssl("req", "-x509", ...newKey, "-keyout", caKeyFile, "-out", caFile, "-days", "2", "-subj", "/CN=Throw-away CA");

  let issued = 0;
  const issue = (names: readonly string[], days: string): Certificate => {
    const id = ++issued;
    const [certFile, keyFile, requestFile] = [file(`${id}.pem`), file(`${id}-key.pem`), file(`${id}.csr`)];
    const extensions = file(`${id}.ext`);
    writeFileSync(extensions, `subjectAltName=${names.join(",")}\n`);
    openssl("req", ...newKey, "-keyout", keyFile, "-out", requestFile, "-subj", "/CN=test");
    const signing = ["-CA", caFile, "-CAkey", caKeyFile, "-CAcreateserial", "-days", days, "-extfile", extensions];
    openssl("x509", "-req", "-in", requestFile, ...signing, "-out", certFile);
    return { certFile, keyFile };
  };
  return {
    caFile,
    /** Issues a certificate for names as OpenSSL writes them, such as `DNS:localhost` or `IP:127.0.0.1`. */
    issue: (...names: string[]) => issue(names, "2"),
    /** Issues a certificate that expired yesterday. */
    issueExpired: (...names: string[]) => issue(names, "-1"),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
