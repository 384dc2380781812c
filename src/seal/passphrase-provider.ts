import { scrypt } from "node:crypto";
import { KEY_BYTES } from "../crypto/aead.ts";
import { GuardedKey } from "../crypto/guarded.ts";
import { ownBytes, randomKeyBytes, wipe } from "../crypto/wipe.ts";
import { sealedBytes, sealedText } from "../store/table.ts";
import { SealError, WrongRootKeyError } from "./errors.ts";
import type { SealProvider } from "./provider.ts";
import type { ScryptParameters } from "./records.ts";
import { ROOT_KEY_NUMBER, type WrapBinding, unwrap, wrap } from "./wrapped-key.ts";

/** 128 MiB and about half a second: what RFC 7914 and OWASP call for where a person waits once. */
const SCRYPT_DEFAULT = { cost: 2 ** 17, blockSize: 8, parallelization: 1 };
/** The store is not trusted: parameters beyond these would let it exhaust the machine. */
const SCRYPT_MEMORY_BYTES_MAX = 2 ** 30;
const SCRYPT_PARALLELIZATION_MAX = 16;
const SALT_BYTES = 32;
/** NIST SP 800-63B, section 3.1.1.2: at least 8 characters for a secret that a person chose. */
const PASSPHRASE_LENGTH_MIN = 8;
const PASSPHRASE_BYTES_MAX = 4096;
const PURPOSE = "root-key";

/**
 * The root key wrapped under a key derived from a passphrase (scrypt), kept in the seal configuration. The root key
 * itself is random, so the passphrase can be changed without touching anything below it.
 */
export function passphraseSealProvider(
  passphrase: string,
  cost: Pick<ScryptParameters, "cost" | "blockSize" | "parallelization"> = SCRYPT_DEFAULT,
): SealProvider {
  return {
    kind: "passphrase",
    adopt: async () => null,
    async protect(rootKey) {
      requireStrength(passphrase);
      const parameters = { ...cost, salt: randomKeyBytes(SALT_BYTES).toString("base64") };
      const derived = await derive(passphrase, parameters);
      const nonce = randomKeyBytes(16);
      const wrapped = derived.use((key) =>
        rootKey.use((root) => wrap(key, ROOT_KEY_NUMBER, nonce, bindingOf(parameters), root)),
      );
      derived.destroy();
      return { kind: "passphrase", scrypt: parameters, wrappedRootKey: sealedText(wrapped) };
    },
    async open(configuration) {
      if (configuration.kind !== "passphrase") {
        throw new SealError("wrong-provider", "This store is sealed with a root key file, not with a passphrase.");
      }
      const derived = await derive(passphrase, configuration.scrypt);
      const wrapped = sealedBytes(configuration.wrappedRootKey);
      const rootKey = derived.use((key) => unwrap(key, bindingOf(configuration.scrypt), wrapped));
      derived.destroy();
      if (rootKey !== null) return GuardedKey.take(rootKey);
      throw new WrongRootKeyError(
        "The passphrase does not open this store's root key: it was mistyped or is an older one, " +
          "or the store is another one or was damaged. Nothing was changed.",
      );
    },
  };
}

/** The parameters are authenticated with the wrapped key, so that none can be exchanged alone. */
const bindingOf = (parameters: ScryptParameters): WrapBinding => ({
  purpose: PURPOSE,
  binding: `scrypt ${parameters.cost} ${parameters.blockSize} ${parameters.parallelization} ${parameters.salt}`,
});

function requireStrength(passphrase: string): void {
  if (passphrase.normalize("NFKC").length < PASSPHRASE_LENGTH_MIN) {
    throw new SealError("weak-passphrase", `A passphrase has at least ${PASSPHRASE_LENGTH_MIN} characters.`);
  }
  if (Buffer.byteLength(passphrase.normalize("NFKC"), "utf8") > PASSPHRASE_BYTES_MAX) {
    throw new SealError("weak-passphrase", `A passphrase has at most ${PASSPHRASE_BYTES_MAX} bytes.`);
  }
}

/** NFKC: the same passphrase typed on another keyboard or system gives the same bytes. */
async function derive(passphrase: string, parameters: ScryptParameters): Promise<GuardedKey> {
  const { cost, blockSize, parallelization } = parameters;
  const memoryBytes = 128 * cost * blockSize;
  const acceptable =
    Number.isInteger(Math.log2(cost)) &&
    memoryBytes <= SCRYPT_MEMORY_BYTES_MAX &&
    parallelization <= SCRYPT_PARALLELIZATION_MAX;
  if (!acceptable)
    throw new SealError("damaged", "The seal configuration holds scrypt parameters that no Waxseal writes.");
  const text = passphrase.normalize("NFKC");
  const password = ownBytes(Buffer.byteLength(text, "utf8"));
  password.write(text, "utf8");
  const salt = Buffer.from(parameters.salt, "base64");
  try {
    const key = await new Promise<Buffer>((resolve, reject) => {
      scrypt(
        password,
        salt,
        KEY_BYTES,
        { N: cost, r: blockSize, p: parallelization, maxmem: 2 * memoryBytes + 2 ** 20 },
        (error, derived) => (error === null ? resolve(derived) : reject(error)),
      );
    });
    return GuardedKey.take(key);
  } finally {
    wipe(password);
  }
}
