/** Selects the chosen processes. */
const chosen = 'job=~"$job", instance=~"$instance"';
/** A metric of the chosen processes. */
export const of = (metric: string, more = "") => `${metric}{${chosen}${more === "" ? "" : `, ${more}`}}`;
export const sum = (metric: string, more?: string) => `sum(${of(metric, more)})`;
/** Increase per second of each series. */
export const rate = (metric: string, more?: string) => `rate(${of(metric, more)}[$__rate_interval])`;
/** Increase per second of all series together, or by labels. */
export const perSecond = (metric: string, by?: string, more?: string) =>
  `sum${by === undefined ? "" : ` by (${by})`} (${rate(metric, more)})`;
export const ratio = (part: string, whole: string) => `${part} / ${whole}`;
/** Quantile of the latency of the HTTP API, without traces, which are streams. */
export const latency = (quantile: number, by: string) =>
  `histogram_quantile(${quantile}, sum by (${by}) (${rate("fanwire_publisher_request_duration_seconds_bucket", 'route!="/v1/trace"')}))`;
