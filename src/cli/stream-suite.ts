import { askServer } from "./admin-client.ts";
import { chosenStream, directoryOf, type StreamOptions } from "./stream-choice.ts";

/** Chooses the cipher suite of what is put into a stream from now on. */
export async function streamSuite(suite: string, options: StreamOptions): Promise<void> {
  const answer = await askServer(directoryOf(options), "POST", "/streams/suite", { ...chosenStream(options), suite });
  const chosen = suite === "default" ? "the server's suite (serve --stream-suite)" : suite;
  process.stdout.write(
    options.json
      ? `${JSON.stringify(answer)}\n`
      : `New records of stream ${options.stream} are sealed with ${chosen}. What is stored stays readable as it is.\n`,
  );
}
