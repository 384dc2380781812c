import pino from "pino";
import type { Log } from "../server/log.ts";

/** Log lines on stderr: JSON for machines, plain sentences for people. */
export function openLog(json: boolean): Log {
  if (json) {
    const logger = pino(
      { base: null, timestamp: pino.stdTimeFunctions.isoTime },
      pino.destination({ fd: 2, sync: true }),
    );
    return {
      info: (message, details) => logger.info(details ?? {}, message),
      warn: (message, details) => logger.warn(details ?? {}, message),
      error: (message, error, details) => logger.error({ ...details, err: error }, message),
    };
  }
  const write = (level: string, message: string, details?: Readonly<Record<string, unknown>>): void => {
    const suffix = details === undefined ? "" : ` ${JSON.stringify(details)}`;
    process.stderr.write(`${level}${message}${suffix}\n`);
  };
  return {
    info: (message, details) => write("", message, details),
    warn: (message, details) => write("WARNING: ", message, details),
    error: (message, error, details) => {
      write("ERROR: ", message, details);
      if (error instanceof Error) process.stderr.write(`${error.stack ?? error.message}\n`);
    },
  };
}
