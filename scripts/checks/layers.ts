import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";

/** Folders below `src`, as in `src/protocols/pusher`. */
const MAX_DEPTH = 2;

/** Tests, and the files that they share, may import from everywhere. */
const TEST_FILE = /(\.test|[./]testing)\.ts$/;

/** Static imports, re-exports and dynamic imports of files of the same package. Types count: they tie folders, too. */
const RELATIVE_IMPORT = /(?:^(?:import|export)\s(?:[^"'`;]*?\sfrom\s)?|\bimport\()"(\.{1,2}\/[^"]*)"/gm;

type Import = { readonly from: string; readonly to: string };

export type Layers = {
  /** Number of files read. */
  readonly files: number;
  /** Imports between parts: folders, and files that lie beside them. One example for each pair. */
  readonly imports: readonly Import[];
  readonly problems: readonly string[];
};

/**
 * Checks the imports within one package's `src`: at most two levels of folders, no cycle between folders, and none from
 * a folder to one that stands before it in `order`. Where an order is given, each folder must stand in it.
 */
export function checkLayers(src: string, order?: readonly string[]): Layers {
  const files = listFiles(src);
  const found = files.flatMap((path) => readImports(src, path));
  const known = new Set(files);
  const unread = found.filter(({ from, to }) => !known.has(to) && !TEST_FILE.test(from));
  const imports = found.filter(({ from, to }) => !TEST_FILE.test(from) && !TEST_FILE.test(to) && known.has(to));

  const folders = new Set(files.map((path) => dirname(path)).filter((folder) => folder !== "."));
  const levels = ["", ...new Set([...folders].map((folder) => firstPart(folder)))];
  const graphs = levels.map((level) => connect(imports, level));
  return {
    files: files.length,
    imports: [...(graphs[0]?.values() ?? [])].flatMap((targets) => [...targets.values()]),
    problems: [
      ...(files.length === 0 ? ["no file was read"] : []),
      ...unread.map(({ from, to }) => `${from} imports ${to}, which was not read`),
      ...[...folders].filter((folder) => folder.split("/").length > MAX_DEPTH).map((folder) => `${folder} is too deep`),
      ...graphs.flatMap((graph, at) => describeCycles(graph, levels[at] ?? "")),
      ...(order === undefined ? [] : checkOrder(imports, folders, order)),
    ],
  };
}

function listFiles(src: string): string[] {
  if (!existsSync(src)) return [];
  return readdirSync(src, { recursive: true, encoding: "utf8" })
    .map((path) => path.split(sep).join("/"))
    .filter((path) => /\.[cm]?tsx?$/.test(path) && !path.endsWith(".d.ts"))
    .sort();
}

function readImports(src: string, from: string): Import[] {
  const text = readFileSync(join(src, from), "utf8");
  return [...text.matchAll(RELATIVE_IMPORT)]
    .map(([, path = ""]) => ({
      from,
      to: relative(src, join(src, dirname(from), path))
        .split(sep)
        .join("/"),
    }))
    .filter(({ to }) => !to.endsWith(".json") && !to.startsWith("../"));
}

const firstPart = (path: string) => path.split("/")[0] ?? "";

type Graph = Map<string, Map<string, Import>>;

/** Joins imports to those between parts of one level: `""` for `src`, or one of its folders. */
function connect(imports: readonly Import[], level: string): Graph {
  const prefix = level === "" ? "" : `${level}/`;
  const graph: Graph = new Map();
  for (const each of imports) {
    if (!each.from.startsWith(prefix) || !each.to.startsWith(prefix)) continue;
    const from = firstPart(each.from.slice(prefix.length));
    const to = firstPart(each.to.slice(prefix.length));
    // Below src only folders are parts: a folder's own files may import its subfolders and be imported by them.
    if (from === to || (level !== "" && (from.endsWith(".ts") || to.endsWith(".ts")))) continue;
    const targets = graph.get(from) ?? new Map<string, Import>();
    graph.set(from, targets.has(to) ? targets : targets.set(to, each));
  }
  return graph;
}

/** Names the parts of each cycle that holds a folder. Biome reports cycles of files. */
function describeCycles(graph: Graph, level: string): string[] {
  const reached = new Map([...graph.keys()].map((part) => [part, reachableFrom(graph, part)]));
  const seen = new Set<string>();
  const problems: string[] = [];
  for (const part of graph.keys()) {
    const cycle = [...(reached.get(part) ?? [])].filter((other) => reached.get(other)?.has(part)).sort();
    if (seen.has(part) || !cycle.some((each) => !each.endsWith(".ts"))) continue;
    for (const each of cycle) seen.add(each);
    const examples = cycle.flatMap((from) => [...(graph.get(from) ?? [])].filter(([to]) => cycle.includes(to)));
    problems.push(
      `${level === "" ? "" : `${level}: `}${cycle.join(", ")} import each other:`,
      ...examples.map(([, { from, to }]) => `  ${from} imports ${to}`),
    );
  }
  return problems;
}

function reachableFrom(graph: Graph, start: string): Set<string> {
  const reached = new Set<string>();
  const open = [start];
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    for (const next of graph.get(part)?.keys() ?? []) {
      if (reached.has(next)) continue;
      reached.add(next);
      open.push(next);
    }
  }
  return reached;
}

function checkOrder(imports: readonly Import[], folders: ReadonlySet<string>, order: readonly string[]): string[] {
  const unknown = new Set([...folders].map(firstPart).filter((folder) => !order.includes(folder)));
  const upward = imports.filter(({ from, to }) => {
    const [source, target] = [from, to].map((path) => order.indexOf(firstPart(path)));
    return source !== undefined && target !== undefined && target >= 0 && target < source;
  });
  return [
    ...[...unknown].map((folder) => `${folder} has no place in the order of scripts/checks/check-layers.ts`),
    ...upward.map(({ from, to }) => `upward: ${from} imports ${to}`),
  ];
}
