import { describe, expect, test } from "vitest";
import { formatExample, formatExampleBytes } from "../../crypto/testing/format-example.ts";
import { movableClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { GuardedKey } from "../../crypto/guarded.ts";
import { unwrap, wrap } from "../../seal/wrapped-key.ts";
import { type ImportToken, ImportTokens } from "./import-token.ts";
import { KeyMaterials } from "./materials.ts";

const PAGE = "import-token.md";
const text = formatExample(PAGE);
const bytes = formatExampleBytes(PAGE);

/** A keyring of one known key and nonce, that notes what it is asked for. */
function exampleKeyring(): {
  readonly keyring: ConstructorParameters<typeof ImportTokens>[0];
  readonly asked: string[][];
} {
  const asked: string[][] = [];
  return {
    asked,
    keyring: {
      wrapKey(purpose, binding, key) {
        asked.push([purpose, binding]);
        const bound = { purpose, binding };
        return key.use((plain) => wrap(bytes("wrapping key"), Number(text("number")), bytes("nonce"), bound, plain));
      },
      unwrapKey(purpose, binding, wrapped) {
        const plain = unwrap(bytes("wrapping key"), { purpose, binding }, wrapped);
        return plain === null ? null : GuardedKey.take(plain);
      },
    },
  };
}

const exampleToken = (): ImportToken => ({
  algorithm: text("wrapping algorithm") as ImportToken["algorithm"],
  validToMs: Number(text("valid to")),
  privateKey: GuardedKey.take(bytes("private key")),
});

describe("docs/formats/import-token.md", () => {
  test("its example is what is written, under its purpose and binding, and is read back", () => {
    const { keyring, asked } = exampleKeyring();
    const tokens = new ImportTokens(keyring);
    const sealed = tokens.seal(text("key"), exampleToken());
    expect(asked).toEqual([[text("purpose"), text("binding")]]);
    expect(Buffer.from(sealed).toString("hex")).toBe(text("token"));
    const opened = tokens.open(text("key"), bytes("token"));
    expect(opened).toMatchObject({ algorithm: text("wrapping algorithm"), validToMs: Number(text("valid to")) });
    expect(opened?.privateKey.use((key) => Buffer.from(key))).toEqual(bytes("private key"));
  });

  test("its material id is the one that is computed", () => {
    const { keyring } = exampleKeyring();
    const unused = { rewrapKey: () => null, onSeal: () => () => undefined, registerRewrap: () => () => undefined };
    const workers = { forget: () => undefined };
    const materials = new KeyMaterials({ ...keyring, ...unused }, systemRandom(), workers, movableClock());
    const key = { accountId: text("account"), keyId: text("key id") };
    expect(materials.importedId(key, bytes("material"))).toBe(text("material id"));
    expect(materials.importedId({ ...key, accountId: "444455556666" }, bytes("material"))).not.toBe(
      text("material id"),
    );
  });
});

test("a token with any byte changed, cut short or lengthened, or of another key, does not open", () => {
  const tokens = new ImportTokens(exampleKeyring().keyring);
  const token = bytes("token");
  for (let at = 0; at < token.byteLength; at += 1) {
    const changed = Buffer.from(token);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    expect(tokens.open(text("key"), changed)).toBeNull();
    expect(tokens.open(text("key"), token.subarray(0, at))).toBeNull();
  }
  expect(tokens.open(text("key"), Buffer.concat([token, Buffer.alloc(1)]))).toBeNull();
  expect(tokens.open(text("key").replace("eu-central-1", "eu-west-1"), token)).toBeNull();
});
