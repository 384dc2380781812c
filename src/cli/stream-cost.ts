import type { StreamAdministration } from "../server/streams.ts";
import { askServer } from "./admin-client.ts";
import { directoryOf, tableText } from "./stream-choice.ts";

type Page = Awaited<ReturnType<StreamAdministration["cost"]>>;

interface CostOptions {
  readonly dataDir?: string;
  readonly json?: boolean;
}

const usd = (amount: number): string => amount.toFixed(6);

/** How often KMS was called for the streams of a server, and what AWS would charge for that. */
export async function streamCost(options: CostOptions): Promise<void> {
  const lines: Page["lines"][number][] = [];
  let after: Page["next"] = null;
  let price = 0;
  do {
    const page = (await askServer(directoryOf(options), "POST", "/streams/cost", { after })) as unknown as Page;
    lines.push(...page.lines);
    price = page.usdPer10000Requests;
    after = page.next;
  } while (after !== null);
  const calls = lines.reduce((total, line) => total + line.calls, 0);
  const total = { calls, usd: Math.round((calls / 10_000) * price * 1e6) / 1e6 };
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ usdPer10000Requests: price, total, lines })}\n`);
    return;
  }
  const rows = lines.map((line) => [
    line.month,
    String(line.calls),
    usd(line.usd),
    line.operation,
    line.streamArn.split(":stream/")[1] ?? line.streamArn,
    line.keyArn,
  ]);
  process.stdout.write(
    rows.length === 0
      ? "KMS was not called for any stream yet.\n"
      : tableText([["MONTH", "CALLS", "USD", "OPERATION", "STREAM", "KEY"], ...rows], [1, 2]) +
          `\n${calls} calls; AWS would charge USD ${usd(total.usd)} at USD ${price} per 10,000 requests. The 20,000 requests\n` +
          "a month that AWS gives each account for nothing are not taken off.\n",
  );
}
