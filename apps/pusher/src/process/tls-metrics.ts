import { addCounter, addGauge } from "@fanwire/service";
import type { Registry } from "prom-client";
import type { CertificateWatch } from "../tls/certificate-watch.ts";

type Source = Pick<CertificateWatch, "expiresAtSeconds" | "hasProblem" | "renewals" | "failures">;

/** Registers the metrics of the certificate, which only a worker with TLS has. */
export function registerTlsMetrics(registry: Registry, source: Source): void {
  addGauge(registry, {
    name: "fanwire_pusher_tls_certificate_expiry_seconds",
    help: "Unix time in seconds at which the served certificate expires.",
    value: () => source.expiresAtSeconds,
  });
  addGauge(registry, {
    name: "fanwire_pusher_tls_files_unusable",
    help: "1 while the certificate files hold something that cannot be served, so that the earlier certificate stays.",
    value: () => Number(source.hasProblem),
  });
  addCounter(registry, {
    name: "fanwire_pusher_tls_renewals_total",
    help: "Certificates that replaced an earlier one.",
    value: () => source.renewals,
  });
  addCounter(registry, {
    name: "fanwire_pusher_tls_renewal_failures_total",
    help: "Times the certificate files held something that cannot be served.",
    value: () => source.failures,
  });
}
