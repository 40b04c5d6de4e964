const UNRELEASED = "## Unreleased";

/** Returns the text of a section of level 2, without its heading, or `undefined`. The heading begins with `title`. */
function section(changelog: string, title: string): string | undefined {
  const lines = changelog.split("\n");
  const from = lines.findIndex((line) => line === title || line.startsWith(`${title} `));
  if (from < 0) return undefined;
  const length = lines.slice(from + 1).findIndex((line) => line.startsWith("## "));
  return lines
    .slice(from + 1, length < 0 ? undefined : from + 1 + length)
    .join("\n")
    .trim();
}

/** Returns why a version cannot be released with this changelog, or `undefined`. */
export function changelogProblem(changelog: string, version: string): string | undefined {
  const released = section(changelog, `## ${version}`);
  const unreleased = section(changelog, UNRELEASED);
  if (released === undefined && unreleased === undefined) {
    return `CHANGELOG.md has no section "## ${version}" and none "${UNRELEASED}"`;
  }
  if (released !== undefined && unreleased)
    return `CHANGELOG.md has entries under "${UNRELEASED}" beside "## ${version}"`;
  return (released ?? unreleased) === "" ? `the section of ${version} in CHANGELOG.md is empty` : undefined;
}

/** Whether the entries of the version still stand under "Unreleased". */
export function mustBeDated(changelog: string, version: string): boolean {
  return section(changelog, `## ${version}`) === undefined;
}

/** Makes the section "Unreleased" the one of a version. `date` is `YYYY-MM-DD`. */
export function dateChangelog(changelog: string, version: string, date: string): string {
  return changelog
    .split("\n")
    .map((line) => (line === UNRELEASED ? `## ${version} (${date})` : line))
    .join("\n");
}
