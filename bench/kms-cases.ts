import type { Connections } from "./support/load.ts";
import type { Target } from "./support/server-process.ts";
import { type SignedRequest, signJson } from "./support/sign.ts";

type Input = Readonly<Record<string, unknown>>;
type Call = (operation: string, input: Input) => Promise<Readonly<Record<string, unknown>>>;

/** One operation as the benchmark asks for it. */
export interface KmsCase {
  readonly name: string;
  readonly operation: string;
  /** Makes what the operation needs, and its input. */
  readonly input: (call: Call, symmetricKeyId: string, plaintext: Buffer) => Promise<Input>;
}

const EncryptionContext = { purpose: "benchmark" };

const signing = (name: string, KeySpec: string, SigningAlgorithm: string): KmsCase => ({
  name,
  operation: "Sign",
  async input(call, _symmetricKeyId, plaintext) {
    const KeyId = await createKey(call, { KeySpec, KeyUsage: "SIGN_VERIFY" });
    return { KeyId, Message: plaintext.toString("base64"), SigningAlgorithm };
  },
});

export const CASES: readonly KmsCase[] = [
  {
    name: "Encrypt",
    operation: "Encrypt",
    input: async (_call, KeyId, plaintext) => ({ KeyId, Plaintext: plaintext.toString("base64"), EncryptionContext }),
  },
  {
    name: "Decrypt",
    operation: "Decrypt",
    async input(call, KeyId, plaintext) {
      const { CiphertextBlob } = await call("Encrypt", {
        KeyId,
        Plaintext: plaintext.toString("base64"),
        EncryptionContext,
      });
      return { CiphertextBlob, EncryptionContext };
    },
  },
  {
    name: "GenerateDataKey",
    operation: "GenerateDataKey",
    input: async (_call, KeyId) => ({ KeyId, KeySpec: "AES_256", EncryptionContext }),
  },
  signing("Sign P-256", "ECC_NIST_P256", "ECDSA_SHA_256"),
  signing("Sign RSA-2048", "RSA_2048", "RSASSA_PSS_SHA_256"),
];

/** The cases' requests, signed once; without those that the server refuses. */
export async function prepareKms(
  target: Pick<Target, "endpoint" | "credentials">,
  connections: Connections,
  cases: readonly KmsCase[],
  plaintext: Buffer,
  progress: (line: string) => void,
): Promise<ReadonlyMap<string, SignedRequest>> {
  const sign = (operation: string, input: Input): SignedRequest =>
    signJson(target.endpoint, target.credentials, "kms", `TrentService.${operation}`, input);
  const call: Call = async (operation, input) =>
    JSON.parse((await connections.call(sign(operation, input))).toString("utf8")) as Record<string, unknown>;
  const keyId = await createKey(call, {});
  const requests = new Map<string, SignedRequest>();
  for (const { name, operation, input } of cases) {
    try {
      const request = sign(operation, await input(call, keyId, plaintext));
      await connections.call(request);
      requests.set(name, request);
    } catch (error) {
      progress(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return requests;
}

async function createKey(call: Call, input: Input): Promise<string> {
  const answer = await call("CreateKey", { Description: "benchmark", ...input });
  return String((answer["KeyMetadata"] as Readonly<Record<string, unknown>>)["KeyId"]);
}
