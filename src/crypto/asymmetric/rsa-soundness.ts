import { asBuffer } from "../../base/bytes.ts";
import { DerReader, INTEGER, SEQUENCE } from "./der.ts";

/** FIPS 186-5, section 5.4: odd, and above 2^16. */
const PUBLIC_EXPONENT_MIN = 65_537n;
/** FIPS 186-5, section 5.4. */
const PUBLIC_EXPONENT_END = 1n << 256n;

/**
 * Whether the numbers of an RSA private key (RSAPrivateKey of two primes, RFC 8017, appendix A.1.2) belong together: OpenSSL
 * reads them without looking, and works around wrong ones where it notices. That the primes are prime is not proved: only
 * the key's owner would be harmed. Throws a DerError for another form.
 */
export function isSoundRsaKey(rsaPrivateKey: Uint8Array): boolean {
  const outer = new DerReader(rsaPrivateKey);
  const reader = new DerReader(outer.read(SEQUENCE));
  outer.requireEnd();
  const next = (): bigint => numberOf(reader.read(INTEGER));
  const [version, n, e, d] = [next(), next(), next(), next()];
  const [p, q, dp, dq, qi] = [next(), next(), next(), next(), next()];
  reader.requireEnd();
  if (version !== 0n || e < PUBLIC_EXPONENT_MIN || e % 2n === 0n || e >= PUBLIC_EXPONENT_END) return false;
  if (p <= 2n || q <= 2n || p === q || p * q !== n || d <= 0n || d >= n) return false;
  return (
    (e * d) % (p - 1n) === 1n &&
    (e * d) % (q - 1n) === 1n &&
    d % (p - 1n) === dp &&
    d % (q - 1n) === dq &&
    qi > 0n &&
    qi < p &&
    (qi * q) % p === 1n
  );
}

/** Negative numbers, which no key has, become zero. */
const numberOf = (bytes: Uint8Array): bigint =>
  (bytes[0] ?? 0x80) >= 0x80 ? 0n : BigInt(`0x${asBuffer(bytes).toString("hex")}`);
