// Starts the worker from TypeScript sources, for unit tests on a Node that cannot strip types itself: a loader hook strips
// them. Built code never comes here, and the build leaves this folder out.
import { register } from "node:module";

register("./strip-types.mjs", import.meta.url);
await import("../worker-main.ts");
