import { defineConfig } from "vitest/config";

// `isolate: false` runs many files in one module graph: the reason why no module may keep mutable state.
const shared = { isolate: false, pool: "threads" as const };

// These drive `bin/waxseal.js`, so what has changed is built first.
const blackBox = { ...shared, globalSetup: ["tests/support/global-setup.ts"] };

// These measure time and memory, so they have the machine to themselves.
const alone = { ...blackBox, fileParallelism: false };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: "unit",
          include: ["src/**/*.test.ts", "tools/**/*.test.ts", "bench/**/*.test.ts", "client/**/*.test.ts"],
          exclude: ["tools/fixtures/**"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          ...blackBox,
          name: "conformance",
          include: ["tests/conformance/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          ...alone,
          name: "servers",
          include: ["tests/servers/**/*.test.ts", "tests/fuzz/**/*.test.ts", "tests/simulation/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...alone,
          name: "torture",
          include: ["tests/fuzz/**/*.test.ts", "tests/simulation/**/*.test.ts", "src/**/testing/*.torture.ts"],
          env: { WAXSEAL_TORTURE: "1" },
          testTimeout: 3_600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
