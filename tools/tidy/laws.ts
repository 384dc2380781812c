/**
 * Who may import whom, as data: the table of the design's import law. A room is a folder (or a file) of the tree; a file
 * belongs to the first room whose pattern matches its path.
 */
export interface Room {
  readonly name: string;
  readonly pattern: RegExp;
  /** Rooms that this one may import. A room may always import itself. */
  readonly values: readonly string[];
  /** Rooms and single files of which it may import types only (`import type`). */
  readonly types: readonly string[];
}

const CONTRACT = "src/gateway/contract.ts";
const SERVICE_VALUES = ["base", "envelope", "store"];
const SERVICE_TYPES = ["protocol", "authz", "audit", CONTRACT, "src/authn/credentials.ts"];
const REQUEST_PATH = ["http", "gateway", "protocol", "authn", "authz", "audit"];
const SERVER_VALUES = ["base", "crypto", "store", "envelope", "seal", ...REQUEST_PATH, "services", "services/kms"];
const EVERYTHING = ["*"];

export const ROOMS: readonly Room[] = [
  // The composition root names every concrete part; nothing but the command line starts it. opened.ts: the data directory;
  // main.ts: a server on it; offline.ts: what commands do without one.
  { name: "main", pattern: /^src\/(main|opened|offline)\.ts$/, values: EVERYTHING, types: [] },
  { name: "config", pattern: /^src\/config\.ts$/, values: ["base"], types: [] },
  { name: "base", pattern: /^src\/base\//, values: [], types: [] },
  { name: "crypto", pattern: /^src\/crypto\//, values: ["base"], types: [] },
  {
    name: "store adapters",
    pattern: /^src\/store\/((lmdb-|memory-|data-directory-lock)[^/]*\.ts$|[^/]+\/)/,
    values: ["base", "store"],
    types: [],
  },
  { name: "store", pattern: /^src\/store\/[^/]+\.ts$/, values: ["base"], types: [] },
  { name: "envelope", pattern: /^src\/envelope\//, values: ["base", "crypto"], types: [CONTRACT] },
  { name: "seal", pattern: /^src\/seal\//, values: ["base", "crypto", "envelope", "store"], types: [] },
  { name: "protocol", pattern: /^src\/protocol\//, values: ["base"], types: [] },
  { name: "authz", pattern: /^src\/authz\//, values: ["base"], types: [] },
  { name: "authn", pattern: /^src\/authn\//, values: ["base", "crypto", "store"], types: ["protocol", CONTRACT] },
  { name: "audit", pattern: /^src\/audit\//, values: ["base", "crypto", "store"], types: [CONTRACT] },
  {
    name: "gateway",
    pattern: /^src\/gateway\//,
    values: ["base", "protocol", "authn", "authz", "audit", "store"],
    types: ["envelope"],
  },
  { name: "http", pattern: /^src\/http\//, values: ["base", "crypto", "protocol", "gateway"], types: [] },
  // The composition root in parts: what main.ts starts, without the concrete stores.
  { name: "server", pattern: /^src\/server\//, values: SERVER_VALUES, types: [] },
  {
    name: "services/kms",
    pattern: /^src\/services\/kms\//,
    values: [...SERVICE_VALUES, "crypto", "seal"],
    types: SERVICE_TYPES,
  },
  { name: "services", pattern: /^src\/services\/[^/]+\//, values: SERVICE_VALUES, types: SERVICE_TYPES },
  // The command line starts the composition root and otherwise talks to servers from outside, as any client does.
  { name: "cli", pattern: /^src\/cli\//, values: ["base", "config", "main", "bench", "client"], types: ["server"] },
  // A package of its own, for people's programs: it knows the public API and nothing of the server.
  { name: "client", pattern: /^client\//, values: [], types: [] },
  { name: "bench", pattern: /^bench\//, values: ["base", "cli", "client", "authn", "authz"], types: [] },
  { name: "tools", pattern: /^tools\//, values: [], types: [] },
  // Black-box suites: they see what a user sees.
  { name: "tests", pattern: /^(tests\/|vitest\.config\.ts$)/, values: ["client"], types: [] },
];

/** Files that prove something about the code beside them. They may use other rooms, but no other service. */
export const isTest = (path: string): boolean => path.endsWith(".test.ts") || path.includes("/testing/");

export const isGenerated = (path: string): boolean => path.endsWith(".generated.ts");

export const roomOf = (path: string): Room | undefined => ROOMS.find((room) => room.pattern.test(path));

/** `src/services/kms/model.ts` -> `kms`. */
export const serviceOf = (path: string): string | undefined => /^src\/services\/([^/]+)\//.exec(path)?.[1];

/** Packages that belong to one place. Everything else may be imported where it is of use. */
export const PACKAGES: readonly { readonly name: RegExp; readonly allowed: RegExp; readonly instead: string }[] = [
  {
    name: /^lmdb$/,
    allowed: /^src\/store\/(lmdb-[^/]*\.ts$|[^/]+\/)/,
    instead: "depend on the port in src/store/ and let opened.ts name the adapter",
  },
  { name: /^commander$/, allowed: /^(src\/cli|bench)\//, instead: "keep the command line in src/cli/" },
  {
    name: /^(@aws-sdk|@smithy)\//,
    allowed: /^(tests|bench|src\/cli)\/|\.test\.ts$|\/testing\//,
    instead: "the server speaks the protocols itself; clients belong in tests/",
  },
  {
    name: /^(node:)?(timers|timers\/promises|perf_hooks)$/,
    allowed: /^(tests|bench|tools|src\/cli)\/|\.test\.ts$|^src\/base\/clock\.ts$/,
    instead: "take the Clock that is handed in (src/base/clock.ts)",
  },
  {
    name: /^(node:)?process$/,
    allowed: /^(tests|bench|tools|src\/cli)\/|^src\/config\.ts$/,
    instead: "use the global `process`, whose uses this tool can see",
  },
  {
    name: /^(vitest|fast-check)$/,
    allowed: /\.test\.ts$|\/testing\/|^tests\/|^vitest\.config\.ts$/,
    instead: "keep test code in *.test.ts or testing/",
  },
];
