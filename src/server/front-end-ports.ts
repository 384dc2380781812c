import { createServer, type AddressInfo } from "node:net";
import type { PortName } from "../http/front-end-settings.ts";
import type { FrontEnds } from "./front-ends.ts";

/** A port that the engine opens, and whose connections it gives away as they come. */
export interface FrontEndPort {
  /** Port 0 takes a free one. Rejects when the address cannot be had. */
  listen(port: number, host: string): Promise<{ readonly port: number; readonly host: string }>;
  /** Accepts no more. */
  close(): void;
}

/** Nothing is read from a connection here: whatever has arrived waits in the kernel for the front-end. */
export function createFrontEndPort(
  name: PortName,
  frontEnds: () => FrontEnds | null,
  onError: (error: unknown) => void,
): FrontEndPort {
  const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    const pool = frontEnds();
    if (pool === null) socket.destroy();
    else pool.hand(socket, name);
  });
  return {
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.off("error", reject);
          server.on("error", onError);
          const address = server.address() as AddressInfo;
          resolve({ port: address.port, host: address.address });
        });
      }),
    close: () => void server.close(),
  };
}
