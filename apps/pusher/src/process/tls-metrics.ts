import { Counter, Gauge, type Registry } from "prom-client";
import type { CertificateWatch } from "../tls/certificate-watch.ts";

type Source = Pick<CertificateWatch, "expiresAtSeconds" | "hasProblem" | "renewals" | "failures">;

/** Registers the metrics of the certificate, which only a worker with TLS has. */
export function registerTlsMetrics(registry: Registry, source: Source): void {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  const counter = (name: string, help: string, value: () => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  gauge(
    "fanwire_pusher_tls_certificate_expiry_seconds",
    "Unix time in seconds at which the served certificate expires.",
    () => source.expiresAtSeconds,
  );
  gauge(
    "fanwire_pusher_tls_files_unusable",
    "1 while the certificate files hold something that cannot be served, so that the earlier certificate stays.",
    () => Number(source.hasProblem),
  );
  counter("fanwire_pusher_tls_renewals_total", "Certificates that replaced an earlier one.", () => source.renewals);
  counter(
    "fanwire_pusher_tls_renewal_failures_total",
    "Times the certificate files held something that cannot be served.",
    () => source.failures,
  );
}
