import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Component, isAccepted, isOurs, licenceOf } from "./licences.ts";
import { PUBLIC_PACKAGES } from "./versions.ts";

/**
 * Writes a CycloneDX document of the services and the npm packages, lists the licences, and fails at one not accepted.
 */

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const [path = "fanwire.cdx.json"] = process.argv.slice(2);
const services = ["pusher", "publisher", "channel", "webhooks"].map((name) => `@fanwire/${name}`);
const made = [...services, ...PUBLIC_PACKAGES].flatMap((name) => ["--workspace", name]);

const document = execFileSync("npm", ["sbom", "--sbom-format", "cyclonedx", "--omit", "dev", ...made], {
  cwd: ROOT,
  encoding: "utf8",
  stdio: ["ignore", "pipe", "inherit"],
});
const { components }: { components: Component[] } = JSON.parse(document);
const foreign = components.filter((component) => !isOurs(component));
writeFileSync(path, document);

for (const component of foreign) {
  console.log(`${licenceOf(component).padEnd(14)}${component.name} ${component.version}`);
}
const refused = foreign.filter((component) => !isAccepted(component));
console.log(`${foreign.length} packages, ${refused.length} with a licence that is not accepted; written to ${path}`);
if (refused.length > 0) {
  for (const component of refused) console.error(`not accepted: ${component.name}, ${licenceOf(component)}`);
  process.exitCode = 1;
}
