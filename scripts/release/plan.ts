import { PUBLIC_PACKAGES } from "./versions.ts";

export type Command = readonly [program: string, ...args: string[]];
export type Step = { readonly title: string; readonly commands: readonly Command[] };

/** Processors that images are built for, by Docker's names. */
const PROCESSORS = ["amd64", "arm64"] as const;
const APPS = ["pusher", "publisher", "channel", "webhooks"] as const;
/** Folder of the files that a release writes. */
export const OUTPUT = "release";

export type Release = {
  readonly version: string;
  /** The released commit. */
  readonly revision: string;
  /** Time of the release, as in RFC 3339. */
  readonly created: string;
  /**
   * Registry and namespace of the images, such as `registry.example/fanwire`. Without one they stay on this machine.
   */
  readonly registry: string | undefined;
  /** Address of the repository, for a label of the images. */
  readonly source: string | undefined;
  /** Whether the packages are published on the npm registry. */
  readonly isPublished: boolean;
};

/** Returns the steps before the released commit exists. */
export function gateSteps(): Step[] {
  return [{ title: "The gate", commands: [["bash", ".ci/run"]] }];
}

/** Returns the steps from the released commit on. */
export function releaseSteps(release: Release): Step[] {
  const { version } = release;
  const names = PUBLIC_PACKAGES.flatMap((name) => ["--workspace", name]);
  return [
    { title: "npm packages", commands: [["npm", "pack", ...names, "--pack-destination", OUTPUT]] },
    {
      title: "Bill of materials",
      commands: [["npm", "run", "sbom", "--", `${OUTPUT}/fanwire-${version}.cdx.json`]],
    },
    { title: "Images", commands: APPS.flatMap((app) => PROCESSORS.map((each) => buildCommand(app, each, release))) },
    { title: "Tag", commands: [["git", "tag", "--annotate", `v${version}`, "--message", `Fanwire ${version}`]] },
    // Last, because a published version cannot be withdrawn from those who have it.
    ...(release.registry === undefined ? [] : [{ title: "Registry of images", commands: pushCommands(release) }]),
    ...(release.isPublished ? [{ title: "npm registry", commands: publishCommands(version) }] : []),
  ];
}

function imageOf(app: string, { registry }: Release): string {
  return `${registry === undefined ? "" : `${registry}/`}fanwire-${app}`;
}

function buildCommand(app: string, processor: string, release: Release): Command {
  const { version, revision, created, source } = release;
  const args = { APP: app, VERSION: version, REVISION: revision, CREATED: created };
  return [
    "docker",
    "buildx",
    "build",
    "--platform",
    `linux/${processor}`,
    ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
    ...(source === undefined ? [] : ["--label", `org.opencontainers.image.source=${source}`]),
    "--tag",
    `${imageOf(app, release)}:${version}-${processor}`,
    "--load",
    ".",
  ];
}

/** Pushes the image of each processor. The registry joins them under the tags that users pull. */
function pushCommands(release: Release): Command[] {
  const { version } = release;
  return APPS.flatMap((app) => {
    const name = imageOf(app, release);
    const images = PROCESSORS.map((processor) => `${name}:${version}-${processor}`);
    const tags = tagsOf(version).flatMap((tag) => ["--tag", `${name}:${tag}`]);
    return [
      ...images.map((image): Command => ["docker", "push", image]),
      ["docker", "buildx", "imagetools", "create", ...tags, ...images],
    ];
  });
}

/** A preview gets its own tag only, so that nobody receives it by `latest`. */
function tagsOf(version: string): string[] {
  if (version.includes("-")) return [version];
  const [major = "", minor = ""] = version.split(".");
  return [version, `${major}.${minor}`, "latest"];
}

function publishCommands(version: string): Command[] {
  const preview = version.includes("-") ? ["--tag", "next"] : [];
  return PUBLIC_PACKAGES.map((name) => {
    const file = `${OUTPUT}/${name.replace("@", "").replace("/", "-")}-${version}.tgz`;
    return ["npm", "publish", file, "--access", "public", ...preview];
  });
}
