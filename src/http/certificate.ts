import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from "./der.ts";

export interface IssuedCertificate {
  /** PEM. The CA's private key is not here: it is forgotten. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface CertificateRequest {
  readonly caName: string;
  /** DNS names and IP addresses. */
  readonly hosts: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const OID = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

const SIGNATURE_ALGORITHM = sequence(objectIdentifier(OID.ecdsaWithSha256));

/** Makes a CA (EC P-256), has it issue one server certificate, and drops its private key. Profile: RFC 5280. */
export function issueCertificate(request: CertificateRequest): IssuedCertificate {
  const caKeys = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const leafKeys = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const caName = name(request.caName);
  const caKeyId = keyIdentifier(caKeys.publicKey);
  const ca = certificate({
    ...request,
    issuer: caName,
    subject: caName,
    publicKey: caKeys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      // A CA whose certificates are not CAs themselves; it signs certificates and revocation lists.
      extension(OID.basicConstraints, true, sequence(boolean(true), integer(Uint8Array.of(0)))),
      extension(OID.keyUsage, true, bitString(Uint8Array.of(0b0000_0110), 1)),
      extension(OID.subjectKeyIdentifier, false, octetString(caKeyId)),
    ],
  });
  const leaf = certificate({
    ...request,
    issuer: caName,
    subject: name("Waxseal"),
    publicKey: leafKeys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      // Digital signature.
      extension(OID.keyUsage, true, bitString(Uint8Array.of(0b1000_0000), 7)),
      extension(OID.extKeyUsage, false, sequence(objectIdentifier(OID.serverAuth))),
      extension(OID.subjectAltName, false, sequence(...request.hosts.map((host) => generalName(host)))),
      extension(OID.subjectKeyIdentifier, false, octetString(keyIdentifier(leafKeys.publicKey))),
      extension(OID.authorityKeyIdentifier, false, sequence(implicit(0, caKeyId))),
    ],
  });
  return { ca, cert: leaf, key: leafKeys.privateKey.export({ format: "pem", type: "pkcs8" }).toString() };
}

interface CertificateFields extends CertificateRequest {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

function certificate(fields: CertificateFields): string {
  const toBeSigned = sequence(
    explicit(0, integer(Uint8Array.of(2))), // version 3
    integer(serialNumber()),
    SIGNATURE_ALGORITHM,
    fields.issuer,
    sequence(time(fields.notBeforeMs), time(fields.notAfterMs)),
    fields.subject,
    fields.publicKey.export({ format: "der", type: "spki" }),
    explicit(3, sequence(...fields.extensions)),
  );
  const signature = sign("sha256", toBeSigned, fields.signingKey);
  const der = sequence(toBeSigned, SIGNATURE_ALGORITHM, bitString(signature));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

const name = (commonName: string): Buffer =>
  sequence(set(sequence(objectIdentifier(OID.commonName), utf8String(commonName))));

function extension(id: string, critical: boolean, value: Uint8Array): Buffer {
  return critical
    ? sequence(objectIdentifier(id), boolean(true), octetString(value))
    : sequence(objectIdentifier(id), octetString(value));
}

/** SHA-1 of the public key's bits (RFC 5280, 4.2.1.2, method 1): a name, nothing that secures. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const { x = "", y = "" } = publicKey.export({ format: "jwk" });
  const point = Buffer.concat([Uint8Array.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  return createHash("sha1").update(point).digest();
}

/** 127 random bits, never zero. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

const DNS_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$/;

/** A name or an address that clients may reach the server under. Throws when it is neither. */
function generalName(host: string): Buffer {
  const family = isIP(host);
  if (family !== 0) return implicit(7, addressBytes(host, family));
  if (!DNS_NAME.test(host)) throw new RangeError(`'${host}' can not stand in a certificate`);
  return implicit(2, Buffer.from(host, "latin1"));
}

function addressBytes(address: string, family: number): Uint8Array {
  if (family === 4) return Uint8Array.from(address.split("."), Number);
  // The URL parser brings every spelling into the one of RFC 5952. A zone belongs to one machine's view only.
  const canonical = new URL(`http://[${address.replace(/%.*$/, "")}]`).hostname.slice(1, -1);
  const [head = "", tail = ""] = canonical.split("::");
  const words = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16));
  const zeros = Array.from({ length: 8 - words(head).length - words(tail).length }, () => 0);
  const all = [...words(head), ...zeros, ...words(tail)];
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}
