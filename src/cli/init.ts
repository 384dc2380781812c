import { openLog } from "./log.ts";
import { readPassphrase } from "./passphrase.ts";
import { initConfig, type InitOptions } from "./serve.ts";

/** Makes a data directory without serving. Changes nothing when there is one already. */
export async function init(options: InitOptions): Promise<void> {
  const config = initConfig(options);
  const { initialize } = await import("../main.ts");
  const result = await initialize(config, openLog(options.json ?? false), () =>
    readPassphrase(options, "New passphrase: "),
  );
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ dataDir: config.dataDir, ...result })}\n`);
    return;
  }
  const verb = result.created ? "Made" : "Found";
  process.stdout.write(
    `${verb} ${config.dataDir}: account ${result.accountId}, region ${result.region}, sealed by ${result.seal}.\n` +
      `Root credentials: ${config.dataDir}/private/root-credentials.json\n` +
      (result.seal === "file"
        ? "The root key lies beside the data it protects. Whoever copies the whole directory can read it:\n" +
          "keep the key elsewhere (--seal file:PATH) or use a passphrase (--seal passphrase) if that matters.\n"
        : ""),
  );
}
