import { openLog } from "./log.ts";
import { readPassphrase } from "./passphrase.ts";
import { initConfig, type InitOptions } from "./serve.ts";

const KEEP_A_COPY = "Keep a copy elsewhere: without it nothing can be read.\n";

const KEY_BESIDE_DATA =
  "It lies beside the data. That protects a store that is copied without private/, and nothing from whoever gets the\n" +
  "whole directory: keep the key elsewhere (--seal file:PATH) or use a passphrase (--seal passphrase) if that matters.\n";

/** Makes a data directory without serving. Of one that exists, only the further Regions change. */
export async function init(options: InitOptions): Promise<void> {
  const config = initConfig(options);
  const { initialize } = await import("../offline.ts");
  const result = await initialize(config, openLog(options.json ?? false), (which) => readPassphrase(options, which));
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ dataDir: config.dataDir, ...result })}\n`);
    return;
  }
  const verb = result.created ? "Made" : "Found";
  process.stdout.write(
    `${verb} ${config.dataDir}: account ${result.accountId}, region ${result.regions.join(", ")}, sealed by ${result.seal}.\n` +
      `Root credentials: ${config.dataDir}/private/root-credentials.json\n` +
      (result.rootKeyFile === null ? "" : `Root key: ${result.rootKeyFile}. ${KEEP_A_COPY}`) +
      (result.isKeyBesideData ? KEY_BESIDE_DATA : ""),
  );
}
