import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import type { Clock } from "../base/clock.ts";
import { fileSystemRefusal, OperatorError, systemErrorCode } from "../base/operator-error.ts";
import type { PortName } from "../http/front-end-settings.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "../http/server.ts";
import { loadOrCreateCertificate } from "../http/tls.ts";
import { createFrontEndPort, type FrontEndPort } from "./front-end-ports.ts";
import { type FrontEnds, type FrontEndState, startFrontEnds } from "./front-ends.ts";
import type { Log } from "./log.ts";

export interface ListenOptions {
  readonly port: number;
  readonly httpHost: string;
  readonly httpsPort: number | null;
  readonly host: string;
  /** Front-end processes; 0: this process serves by itself. */
  readonly workers: number;
  readonly certificate: {
    readonly certificateFile: string;
    readonly keyFile: string;
    readonly caFile: string | null;
  } | null;
  /** Where a certificate of our own is kept. */
  readonly certificateDirectory: string;
}

/** Where the server is reached. */
export interface Listeners {
  readonly endpoint: string;
  readonly httpsEndpoint: string | null;
  /** Of the certificate that clients have to trust. */
  readonly caFile: string | null;
  /** The health check shall say something else from now on. */
  tellHealth(): void;
  /** Empty where this process serves by itself. */
  frontEnds(): readonly FrontEndState[];
  close(drainMsMax: number): Promise<void>;
}

/** What serves the ports: this process, or its front-ends. */
interface Ports {
  readonly http: Pick<HttpServer, "listen">;
  /** Throws OperatorError for a certificate that cannot be used. */
  readonly https: (certificate: CertificateToServe) => Pick<HttpServer, "listen">;
  /** All ports that shall be are open. */
  readonly opened: () => Promise<void>;
  readonly tellHealth: () => void;
  readonly frontEnds: () => readonly FrontEndState[];
  readonly close: (drainMsMax: number) => Promise<void>;
}

/** Opens the ports, or none. Throws OperatorError when an address or a certificate cannot be had. */
export async function openListeners(
  options: ListenOptions,
  server: Omit<HttpServerOptions, "tls"> & { readonly clock: Clock },
  log: Log,
): Promise<Listeners> {
  const { httpHost, httpsPort, host } = options;
  if (httpHost !== "127.0.0.1") {
    log.warn(
      `Plain HTTP is open on ${httpHost}: payloads and answers can be read on the way. Use --https-port instead.`,
    );
  }
  const ports = options.workers === 0 ? ownPorts(server) : sharedPorts(options.workers, server, log);
  const { tellHealth, frontEnds, close } = ports;
  try {
    const plainPort = await listen(ports.http, options.port, httpHost, {
      port: "--port",
      host: "--insecure-http-host",
    });
    let httpsEndpoint: string | null = null;
    let caFile: string | null = null;
    if (httpsPort !== null) {
      const certificate = await certificateOf(options, server.clock, log);
      const https = ports.https(certificate);
      const securePort = await listen(https, httpsPort, host, { port: "--https-port", host: "--host" });
      httpsEndpoint = `https://${hostInUrl(host)}:${securePort}`;
      caFile = certificate.caFile;
    }
    await ports.opened();
    const endpoint = `http://${hostInUrl(httpHost)}:${plainPort}`;
    return { endpoint, httpsEndpoint, caFile, tellHealth, frontEnds, close };
  } catch (error) {
    await close(0);
    throw error;
  }
}

type ServerOptions = Omit<HttpServerOptions, "tls"> & { readonly clock: Clock };

function ownPorts(server: ServerOptions): Ports {
  const http = createHttpServer(server);
  const servers = [http];
  return {
    http,
    https(certificate) {
      const https = createSecureServer(server, certificate);
      servers.push(https);
      return https;
    },
    opened: () => Promise.resolve(),
    tellHealth: () => {},
    frontEnds: () => [],
    async close(drainMsMax) {
      await Promise.all(servers.map((each) => each.close(drainMsMax)));
    },
  };
}

/** The ports are opened here, so that an address that cannot be had is known at once; what comes to them is given away. */
function sharedPorts(count: number, server: ServerOptions, log: Log): Ports {
  let tls: CertificateToServe | null = null;
  let frontEnds: FrontEnds | null = null;
  const portOf = (name: PortName): FrontEndPort => createFrontEndPort(name, () => frontEnds, server.onError);
  const http = portOf("http");
  const ports = [http];
  return {
    http,
    https(certificate) {
      // Only to see that it can be used; nothing listens.
      createSecureServer(server, certificate);
      tls = certificate;
      const https = portOf("https");
      ports.push(https);
      return https;
    },
    async opened() {
      frontEnds = await startFrontEnds({ ...server, count, tls, log });
    },
    tellHealth: () => frontEnds?.tellHealth(),
    frontEnds: () => frontEnds?.describe() ?? [],
    async close(drainMsMax) {
      for (const port of ports) port.close();
      await frontEnds?.close(drainMsMax);
    },
  };
}

async function listen(
  server: Pick<HttpServer, "listen">,
  port: number,
  host: string,
  option: { readonly port: string; readonly host: string },
): Promise<number> {
  try {
    return (await server.listen(port, host)).port;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "EADDRINUSE") {
      throw new OperatorError(
        `Port ${port} on ${host} is in use. Choose another with ${option.port} (0 takes a free one), or stop what uses it.`,
        error,
      );
    }
    if (code === "EACCES") {
      throw new OperatorError(
        `Port ${port} is not open to this user. Choose one above 1023 with ${option.port}.`,
        error,
      );
    }
    if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "EAFNOSUPPORT") {
      throw new OperatorError(
        `${host} is not an address of this machine. Name one with ${option.host}, or leave it out.`,
        error,
      );
    }
    throw error;
  }
}

interface CertificateToServe {
  readonly key: string;
  readonly cert: string;
  readonly caFile: string | null;
}

async function certificateOf(options: ListenOptions, clock: Clock, log: Log): Promise<CertificateToServe> {
  if (options.certificate !== null) {
    const { certificateFile, keyFile, caFile } = options.certificate;
    if (caFile !== null) await readPem(caFile, "--tls-ca");
    return { cert: await readPem(certificateFile, "--tls-cert"), key: await readPem(keyFile, "--tls-key"), caFile };
  }
  const directory = options.certificateDirectory;
  const made = await loadOrCreateCertificate({ directory, hosts: [options.host, hostname()], clock });
  if (made.issuedBecause === "close to expiry" || made.issuedBecause === "hosts changed") {
    log.warn(`The certificate was made anew (${made.issuedBecause}): clients have to trust the new CA.`, {
      caFile: made.caFile,
    });
  }
  return made;
}

async function readPem(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new OperatorError(`${option}: ${fileSystemRefusal(error)?.message ?? `${path} cannot be read.`}`, error);
  }
}

function createSecureServer(server: Omit<HttpServerOptions, "tls">, certificate: CertificateToServe): HttpServer {
  try {
    return createHttpServer({ ...server, tls: certificate });
  } catch (error) {
    throw new OperatorError(
      `The TLS certificate and its key cannot be used (${systemErrorCode(error) ?? "unknown error"}). ` +
        "Both have to be PEM, without a passphrase, and to belong together.",
      error,
    );
  }
}

/** An address that listens on everything is reached by the loopback address on this machine. */
function hostInUrl(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
