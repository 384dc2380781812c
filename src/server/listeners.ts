import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import type { Clock } from "../base/clock.ts";
import { fileSystemRefusal, OperatorError, systemErrorCode } from "../base/operator-error.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "../http/server.ts";
import { loadOrCreateCertificate } from "../http/tls.ts";
import type { Log } from "./log.ts";

export interface ListenOptions {
  readonly port: number;
  readonly httpHost: string;
  readonly httpsPort: number | null;
  readonly host: string;
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
  close(drainMsMax: number): Promise<void>;
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
  const http = createHttpServer(server);
  const plainPort = await listen(http, options.port, httpHost, { port: "--port", host: "--insecure-http-host" });
  const endpoint = `http://${hostInUrl(httpHost)}:${plainPort}`;
  if (httpsPort === null)
    return { endpoint, httpsEndpoint: null, caFile: null, close: (drainMsMax) => http.close(drainMsMax) };
  try {
    const certificate = await certificateOf(options, server.clock, log);
    const https = createSecureServer(server, certificate);
    const securePort = await listen(https, httpsPort, host, { port: "--https-port", host: "--host" });
    return {
      endpoint,
      httpsEndpoint: `https://${hostInUrl(host)}:${securePort}`,
      caFile: certificate.caFile,
      async close(drainMsMax) {
        await Promise.all([http.close(drainMsMax), https.close(drainMsMax)]);
      },
    };
  } catch (error) {
    await http.close(0);
    throw error;
  }
}

async function listen(
  server: HttpServer,
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
