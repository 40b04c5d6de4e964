import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startPublisher, startPusher } from "../support/cluster.ts";
import { freePorts } from "../support/free-ports.ts";
import { startNats } from "../support/nats.ts";
import { drawPicture } from "./chart.ts";
import { helpText, readOptions, type SoakOptions, UsageError } from "./options.ts";
import { Population } from "./population.ts";
import { Publishing } from "./publishing.ts";
import { Sampler } from "./sampler.ts";
import { formatVerdicts, judge } from "./verdict.ts";

const SECRET = "of nobody, for nothing but this soak test";
/** A size that is full early, so that the history does not count as growth. */
const HISTORY_LIMITS = { FANWIRE_HISTORY_MAX_AGE_SECONDS: "30", FANWIRE_HISTORY_MAX_BYTES: "16777216" };

/** Writes figures to standard output, and progress to standard error. */
const progress = (text: string) => process.stderr.write(`${text}\n`);

async function run(options: SoakOptions, signal: AbortSignal): Promise<number> {
  const [monitorPort = 0] = await freePorts(1);
  await using nats = await startNats(["-m", String(monitorPort)]);
  await using publisher = await startPublisher({ nats: nats.url, env: HISTORY_LIMITS });
  await using pusher = await startPusher({ nats: nats.url, env: { ...HISTORY_LIMITS, PUSHER_TOKEN_SECRET: SECRET } });
  const sampler = new Sampler({ pusher, publisher, natsMonitor: `http://127.0.0.1:${monitorPort}` });
  const population = new Population({ ...options, pusher, secret: SECRET });
  const publishing = new Publishing(publisher.url, population, options.rate);

  const endsAt = performance.now() + options.seconds * 1_000;
  const summary = () => {
    const answers = [...publishing.answers].map(([status, count]) => `${count} × ${status}`).join(", ");
    return `${population.opened} connections (${population.failed} failed), publications ${answers}, ${population.received} received`;
  };
  try {
    while (performance.now() < endsAt && !signal.aborted) {
      await delay(options.everySeconds * 1_000, undefined, { signal }).catch(() => {});
      await sampler.sample();
      progress(`${Math.max(0, Math.round((endsAt - performance.now()) / 1_000))} s left: ${summary()}`);
    }
  } finally {
    await publishing.stop();
    await population.stop();
  }

  const verdicts = judge(sampler.series);
  const minutes = (options.seconds / 60).toFixed(1);
  const title = `Soak of ${minutes} minutes: ${options.clients} connections that live ${options.lifeSeconds} s, ${options.rate} publications/s`;
  mkdirSync(dirname(options.svgFile), { recursive: true });
  writeFileSync(options.svgFile, drawPicture(sampler.series, title));
  writeFileSync(
    options.svgFile.replace(/(\.svg)?$/, ".json"),
    JSON.stringify({ title, verdicts, series: sampler.series }),
  );
  console.log(`${title}\n${summary()}\n\n${formatVerdicts(verdicts)}\n\npicture: ${options.svgFile}`);
  const hasFailed = population.failed > population.opened / 100 || population.received === 0;
  return hasFailed || verdicts.some(({ growth }) => growth?.hasGrown) ? 1 : 0;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) console.log(helpText);
  else {
    const stopping = new AbortController();
    // The samples so far are drawn and judged.
    for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => stopping.abort());
    process.exitCode = await run(options, stopping.signal);
  }
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n\n${helpText}` : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
