import { X509Certificate } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { movableClock, systemClock } from "../base/clock.ts";
import { http2Request, startServer, type TestServer } from "./testing/connect.ts";
import { type CertificateOptions, loadOrCreateCertificate, type ServerCertificate } from "./tls.ts";

const DAY_MS = 24 * 60 * 60_000;
let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "waxseal-tls-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const pem = async (directory: string, file: string): Promise<string> => readFile(join(directory, file), "utf8");

describe("the certificate", () => {
  test("is made once, for the server's names, by a CA that can do nothing else, and only its owner may read it", async () => {
    const directory = join(root, "made");
    const clock = movableClock(undefined, Date.UTC(2026, 0, 1));
    const hosts = ["kms.example.test", "192.0.2.7", "2001:db8::7", "0.0.0.0"];
    const made = await loadOrCreateCertificate({ directory, hosts, clock });
    expect(made).toMatchObject({ issuedBecause: "first start", caFile: join(directory, "ca.pem") });
    for (const file of ["ca.pem", "cert.pem", "key.pem"])
      expect((await stat(join(directory, file))).mode & 0o777).toBe(0o600);

    const leaf = new X509Certificate(made.cert);
    const ca = new X509Certificate(await pem(directory, "ca.pem"));
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.checkIssued(ca)).toBe(true);
    expect([ca.ca, leaf.ca]).toEqual([true, false]);
    for (const name of ["localhost", "kms.example.test"]) expect(leaf.checkHost(name)).toBe(name);
    for (const address of ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"]) expect(leaf.checkIP(address)).toBe(address);
    expect(leaf.subjectAltName).not.toContain("0.0.0.0");
    expect(made.expiresAtMs - clock.wallMs()).toBeGreaterThan(397 * DAY_MS);
    expect(made.expiresAtMs - Date.parse(leaf.validFrom)).toBe(398 * DAY_MS);

    const again = await loadOrCreateCertificate({ directory, hosts, clock });
    expect(again).toEqual({ ...made, issuedBecause: null });
  });

  test("for a server that listens on everything names the addresses of its interfaces; temporary ones do not renew it", async () => {
    const options = { directory: join(root, "everywhere"), hosts: ["0.0.0.0"], clock: movableClock(undefined, 0) };
    const address = (family: "IPv4" | "IPv6", text: string, internal = false) => ({ family, address: text, internal });
    const interfacesWith = (v4: string, v6: string): NonNullable<CertificateOptions["interfaces"]> => ({
      lo: [address("IPv4", "127.0.0.2", true)],
      eth0: [address("IPv4", v4), address("IPv6", v6), address("IPv6", "fe80::1"), address("IPv4", "169.254.0.1")],
    });
    const made = await loadOrCreateCertificate({ ...options, interfaces: interfacesWith("192.0.2.7", "2001:db8::7") });
    const leaf = new X509Certificate(made.cert);
    for (const one of ["192.0.2.7", "2001:db8::7"]) expect(leaf.checkIP(one)).toBe(one);
    for (const one of ["127.0.0.2", "fe80::1", "169.254.0.1"]) expect(leaf.checkIP(one)).toBeUndefined();

    const reasonWith = async (v4: string, v6: string): Promise<unknown> =>
      (await loadOrCreateCertificate({ ...options, interfaces: interfacesWith(v4, v6) })).issuedBecause;
    expect(await reasonWith("192.0.2.7", "2001:db8::8")).toBeNull();
    expect(await reasonWith("192.0.2.8", "2001:db8::8")).toBe("hosts changed");
  });

  test("is renewed with a new CA within 30 days of its end, and for a new host", async () => {
    const directory = join(root, "renewed");
    const clock = movableClock(undefined, Date.UTC(2048, 11, 30));
    await loadOrCreateCertificate({ directory, hosts: [], clock });
    const firstCa = await pem(directory, "ca.pem");
    clock.advance(366 * DAY_MS);
    expect((await loadOrCreateCertificate({ directory, hosts: [], clock })).issuedBecause).toBeNull();
    clock.advance(3 * DAY_MS);
    expect((await loadOrCreateCertificate({ directory, hosts: [], clock })).issuedBecause).toBe("close to expiry");
    expect(await pem(directory, "ca.pem")).not.toBe(firstCa);
    const wider = await loadOrCreateCertificate({ directory, hosts: ["new.example.test"], clock });
    expect(wider.issuedBecause).toBe("hosts changed");
    expect(new X509Certificate(wider.cert).checkHost("new.example.test")).toBe("new.example.test");
  });

  test("of the operator is used as it is, wherever it lies", async () => {
    const directory = join(root, "operator");
    const clock = movableClock();
    const theirs = await loadOrCreateCertificate({ directory: join(root, "theirs"), hosts: [], clock });
    const provided = {
      certificateFile: join(root, "theirs", "cert.pem"),
      keyFile: join(root, "theirs", "key.pem"),
      caFile: null,
    };
    const used = await loadOrCreateCertificate({ directory, hosts: ["other.example.test"], clock, provided });
    expect(used).toMatchObject({ cert: theirs.cert, key: theirs.key, caFile: null, issuedBecause: null });
    await expect(stat(directory)).rejects.toThrow("ENOENT");
  });

  test("with a key of another certificate is refused", async () => {
    const clock = movableClock();
    await loadOrCreateCertificate({ directory: join(root, "a"), hosts: [], clock });
    await loadOrCreateCertificate({ directory: join(root, "b"), hosts: [], clock });
    const provided = {
      certificateFile: join(root, "a", "cert.pem"),
      keyFile: join(root, "b", "key.pem"),
      caFile: null,
    };
    await expect(loadOrCreateCertificate({ directory: root, hosts: [], clock, provided })).rejects.toThrow(
      "does not belong",
    );
  });

  test("half-written sets are made again", async () => {
    const directory = join(root, "half");
    const clock = movableClock();
    await loadOrCreateCertificate({ directory, hosts: [], clock });
    await rm(join(directory, "cert.pem"));
    await writeFile(join(directory, "cert.pem.new"), "rubbish", { mode: 0o644 });
    expect((await loadOrCreateCertificate({ directory, hosts: [], clock })).issuedBecause).toBe("first start");
    expect((await stat(join(directory, "cert.pem"))).mode & 0o777).toBe(0o600);
  });

  test("a name that cannot stand in a certificate is an error", async () => {
    await expect(
      loadOrCreateCertificate({ directory: join(root, "bad"), hosts: ["not a name"], clock: movableClock() }),
    ).rejects.toThrow(RangeError);
  });
});

describe("HTTPS", () => {
  let certificate: ServerCertificate;
  let ca = "";
  let started: TestServer;
  beforeAll(async () => {
    certificate = await loadOrCreateCertificate({ directory: join(root, "served"), hosts: [], clock: systemClock() });
    ca = await pem(join(root, "served"), "ca.pem");
    started = await startServer({ tls: certificate });
  });
  afterAll(() => started.server.close(0));

  test("ALPN chooses HTTP/2, and requests know their TLS connection", async () => {
    const session = connectHttp2(`https://localhost:${started.port}`, { ca });
    const answer = await http2Request(session, { ":method": "POST", ":path": "/p" }, "abc");
    expect(answer.body).toBe("POST /p abc");
    expect(started.received.at(-1)).toMatchObject({
      secureTransport: true,
      tls: { version: "TLSv1.3", cipherSuite: expect.stringMatching(/^TLS_AES_/) },
      headers: [["host", `localhost:${started.port}`]],
    });
    session.close();
  });

  test("an HTTP/2 session over TLS that is used stays, and one that is idle is closed", async () => {
    const brief = await startServer({ tls: certificate, limits: { idleMsMax: 200 } });
    const session = connectHttp2(`https://localhost:${brief.port}`, { ca });
    const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
    for (let count = 0; count < 8; count += 1) {
      expect((await http2Request(session, { ":path": "/" })).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    await closed;
    await brief.server.close(0);
  });

  test("HTTP/1.1 without ALPN, trusting the CA file", async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const sent = request(
        { host: "127.0.0.1", port: started.port, ca, path: "/-/health", agent: false },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      sent.on("error", reject);
      sent.end();
    });
    expect(status).toBe(200);
  });

  test("TLS 1.2 is taken, TLS 1.1 is not", async () => {
    const handshake = (version: "TLSv1.1" | "TLSv1.2"): Promise<string | null> =>
      new Promise((resolve, reject) => {
        const socket = connectTls(
          {
            host: "127.0.0.1",
            port: started.port,
            ca,
            minVersion: version,
            maxVersion: version,
            ciphers: "DEFAULT@SECLEVEL=0",
          },
          () => {
            resolve(socket.getProtocol());
            socket.destroy();
          },
        );
        socket.on("error", reject);
      });
    expect(await handshake("TLSv1.2")).toBe("TLSv1.2");
    await expect(handshake("TLSv1.1")).rejects.toThrow("protocol version");
  });

  test("closing does not wait for a handshake that never comes", async () => {
    const other = await startServer({ tls: certificate });
    const mute = connectTcp(other.port, "127.0.0.1");
    mute.on("error", () => {});
    await new Promise((done) => mute.on("connect", done));
    await new Promise((done) => setTimeout(done, 20));
    const startMs = Date.now();
    await other.server.close(10_000);
    expect(Date.now() - startMs).toBeLessThan(5_000);
  });
});
