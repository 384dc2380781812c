import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { systemRandom } from "../base/random.ts";
import { formatExample } from "../crypto/testing/format-example.ts";
import type { Principal } from "../gateway/contract.ts";
import { openSecret } from "../seal/sealed-secret.ts";
import { createSessionTokens, TOKEN_LENGTH_MAX, type TokenBox } from "./session-tokens.ts";

/** AES-256-GCM with purpose and binding as associated data: the keyring without its keys. */
function box(key = randomBytes(32)): TokenBox {
  const aad = (purpose: string, binding: string): Buffer => Buffer.from(`${purpose}\n${binding}`);
  return {
    seal(purpose, binding, secret) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(aad(purpose, binding));
      return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    },
    open(purpose, binding, sealed) {
      if (sealed.byteLength < 28) return null;
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12)).setAAD(aad(purpose, binding));
      decipher.setAuthTag(sealed.subarray(-16));
      try {
        return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      } catch {
        return null;
      }
    },
  };
}

const random = systemRandom();
const ACCOUNT = "012345678901";

const principalSession: NonNullable<Principal["session"]> = {
  issuerArn: `arn:aws:iam::${ACCOUNT}:role/reader`,
  issuerId: "AROAX",
  name: "s1",
  issuedAtMs: 1_700_000_000_123,
  mfa: false,
  tags: { team: "blue", ключ: "знач", __proto__x: "y" },
  transitiveTagKeys: ["team"],
  sourceIdentity: "ann",
  limits: { documents: ['{"Version":"2012-10-17"}'], policyArns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"] },
  federation: { provider: "arn:aws:iam::012345678901:oidc-provider/idp.test", claims: { "idp.test:sub": "x" } },
};
const principal: Principal = {
  type: "AssumedRole",
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/reader/s1`,
  accountId: ACCOUNT,
  userId: "AROAX:s1",
  session: principalSession,
};
const session = { principal, expiresMs: 1_700_003_600_000 };

function issued(tokens = createSessionTokens({ box: box(), random })) {
  const credentials = tokens.issue(session);
  if (credentials === null) throw new Error("the session does not fit");
  return { tokens, ...credentials };
}

test("the example of docs/formats/session-token.md opens to the session that it tells of", () => {
  const example = formatExample("session-token.md");
  const subkey = Buffer.from(example("subkey"), "hex");
  const asked: string[] = [];
  const opening: TokenBox = {
    seal: () => Buffer.alloc(0),
    open(purpose, binding, sealed) {
      asked.push(purpose, binding);
      return openSecret(subkey, purpose, binding, sealed);
    },
  };
  const tokens = createSessionTokens({ box: opening, random });
  const opened = tokens.open(example("access key id"), example("token"));
  expect(asked).toEqual([example("purpose"), example("binding")]);
  expect(opened).toMatchObject({ expiresMs: Number(example("ends")), principal: { arn: example("arn") } });
  expect(Buffer.from(opened?.openSecret() ?? []).toString()).toBe(example("secret access key"));
  expect(tokens.accountOf(example("access key id"))).toBe(example("account"));
});

describe("session tokens", () => {
  test("a token gives back the whole session and the secret, and only with its access key id", () => {
    const { tokens, accessKeyId, secretAccessKey, sessionToken } = issued();
    const opened = tokens.open(accessKeyId, sessionToken);
    expect(opened).toMatchObject({ expiresMs: session.expiresMs, principal: { ...principal, accessKeyId } });
    expect(Buffer.from(opened?.openSecret() ?? []).toString()).toBe(secretAccessKey);
    expect(secretAccessKey).toMatch(/^[A-Za-z0-9+/]{40}$/);
    const other = issued(tokens);
    expect(tokens.open(other.accessKeyId, sessionToken)).toBeNull();
    expect(tokens.open("AKIAIOSFODNN7EXAMPLE", sessionToken)).toBeNull();
  });

  test("a server with the same keys opens it, one with others does not", () => {
    const shared = box();
    const { accessKeyId, sessionToken } = issued(createSessionTokens({ box: shared, random }));
    expect(createSessionTokens({ box: shared, random }).open(accessKeyId, sessionToken)).not.toBeNull();
    expect(createSessionTokens({ box: box(), random }).open(accessKeyId, sessionToken)).toBeNull();
  });

  test("each changed character, cut or addition makes it worthless", () => {
    const { tokens, accessKeyId, sessionToken } = issued();
    for (let at = 0; at < sessionToken.length; at += 7) {
      const other = sessionToken[at] === "A" ? "B" : "A";
      const changed = sessionToken.slice(0, at) + other + sessionToken.slice(at + 1);
      expect(tokens.open(accessKeyId, changed), `character ${at}`).toBeNull();
    }
    const odd = [
      "",
      "=",
      "AQ==",
      sessionToken.slice(0, -4),
      `${sessionToken}AAAA`,
      ` ${sessionToken}`,
      `${sessionToken}\n`,
    ];
    for (const text of [...odd, sessionToken.repeat(50), sessionToken.replaceAll("+", "-")]) {
      if (text !== sessionToken) expect(tokens.open(accessKeyId, text)).toBeNull();
    }
  });

  test("what does not fit into 8 KiB is not issued", () => {
    const tokens = createSessionTokens({ box: box(), random });
    const withTags = (count: number) => {
      const tags = Object.fromEntries(
        Array.from({ length: count }, (_, at) => [`${at}`, randomBytes(120).toString("base64")]),
      );
      return tokens.issue({ ...session, principal: { ...principal, session: { ...principalSession, tags } } });
    };
    expect(withTags(20)?.sessionToken.length).toBeLessThanOrEqual(TOKEN_LENGTH_MAX);
    expect(withTags(50)).toBeNull();
  });

  test("a key id tells its account, as AWS's do, and ids of other forms tell nothing", () => {
    const { tokens, accessKeyId } = issued();
    expect(accessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/);
    expect(tokens.accountOf(accessKeyId)).toBe(ACCOUNT);
    // Published analyses of AWS's ids agree on where the account is (bits 7 to 46 of the first 48).
    expect(tokens.accountOf("ASIAQNZGKIQY56JQ7WML")).toBe("029608264753");
    for (const id of [
      "ASIAAAAAAAAAAAAAAAAA",
      "AKIAQNZGKIQY56JQ7WML",
      "ASIA7777777777777777",
      "ASIA",
      "ASIAQNZGKIQY56JQ7W1L",
    ]) {
      expect(tokens.accountOf(id), id).toBeNull();
    }
  });
});
