import type { Log } from "@fanwire/service";
import { type Certificate, readCertificate, type TlsFiles } from "./certificate.ts";

/** Reading two small files takes less than a millisecond. */
const POLL_MS = 1_000;

type Parts = {
  readonly files: TlsFiles;
  /** The certificate that is served. */
  readonly served: Certificate;
  readonly log: Log;
  /** Serves another certificate. Rejects if that is impossible. Then the earlier one stays. */
  serve(files: TlsFiles): Promise<void>;
  readonly pollMs?: number;
};

/**
 * Serves a renewed certificate. Reads the content of the files again and again, because certbot and Kubernetes exchange
 * symbolic links. No notification of the kernel covers these in all file systems. Files that cannot be served change
 * nothing.
 */
export class CertificateWatch {
  readonly #parts: Parts;
  readonly #timer: NodeJS.Timeout;
  #served: Certificate;
  #isPolling = false;
  /**
   * The problem of the last poll. A pair that is half written has one for a moment, so that the second poll reports it.
   */
  #lastProblem: string | undefined;
  #reportedProblem: string | undefined;
  /** Certificates that replaced an earlier one. */
  renewals = 0;
  /** Times the files held something that could not be served. */
  failures = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#served = parts.served;
    this.#timer = setInterval(() => void this.#poll(), parts.pollMs ?? POLL_MS).unref();
  }

  /** Unix time in seconds at which the served certificate expires. */
  get expiresAtSeconds(): number {
    return Math.floor(this.#served.expiresAt / 1_000);
  }

  /** Whether the files hold something that cannot be served. */
  get hasProblem(): boolean {
    return this.#reportedProblem !== undefined;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    try {
      this.#notice(await this.#renew());
    } finally {
      this.#isPolling = false;
    }
  }

  /** Serves what the files hold, unless it is served already. Returns what is wrong with them. */
  async #renew(): Promise<string | undefined> {
    const { files, log, serve } = this.#parts;
    const read = await readCertificate(files);
    if (!read.ok) return read.digest === this.#served.digest ? undefined : read.problem;
    const { certificate } = read;
    if (certificate.digest === this.#served.digest) return undefined;
    try {
      await serve(certificate.files);
    } catch (error) {
      return `the certificate cannot be served: ${(error as Error).message}`;
    }
    this.#served = certificate;
    this.renewals++;
    const { names, expiresAt } = certificate;
    log.info({ names, expiresAt: new Date(expiresAt).toISOString() }, "TLS certificate renewed");
    return undefined;
  }

  #notice(problem: string | undefined): void {
    const isLasting = problem !== undefined && problem === this.#lastProblem;
    this.#lastProblem = problem;
    if (problem === undefined) this.#reportedProblem = undefined;
    if (!isLasting || problem === this.#reportedProblem) return;
    this.#reportedProblem = problem;
    this.failures++;
    const expiresAt = new Date(this.#served.expiresAt).toISOString();
    this.#parts.log.error({ problem, expiresAt }, "TLS files unusable, the earlier certificate stays");
  }
}
