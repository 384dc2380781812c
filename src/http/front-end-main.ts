/** A front-end process: started by the engine (server/front-end-process.ts), with a pipe to it as descriptor 3. */
import { Socket } from "node:net";
import { systemClock } from "../base/clock.ts";
import { startFrontEnd } from "./front-end.ts";
import type { HandedOver } from "./front-end-settings.ts";

const PIPE_FD = 3;

// A terminal's Ctrl-C and a service manager's stop reach every process of the group. The engine has answers for requests in
// flight, and tells when to end; should it die itself, the pipe ends.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const frontEnd = startFrontEnd({
  pipe: new Socket({ fd: PIPE_FD, readable: true, writable: true }),
  clock: systemClock(),
  configured: ({ number }) => {
    process.title = `waxseal: front end ${number}`;
  },
  ended: (code) => process.exit(code),
});

process.on("message", (handedOver: HandedOver, socket: unknown) => {
  frontEnd.accept(handedOver, socket instanceof Socket ? socket : null);
});
process.on("disconnect", () => process.exit(1));
