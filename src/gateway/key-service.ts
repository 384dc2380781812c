import type { DataKeyScope, KeyService } from "../envelope/key-service.ts";
import type { Dispatch } from "./contract.ts";

const DATA_KEY_BYTES = 32;

interface DataKeyAnswer {
  readonly Plaintext: Uint8Array;
  readonly CiphertextBlob: Uint8Array;
  readonly KeyId: string;
}

/** KMS for the envelope: every call goes through the gateway as the caller, like a request from outside. */
export function dispatchedKeyService(dispatch: Dispatch): KeyService {
  const generateInput = (scope: DataKeyScope): Readonly<Record<string, unknown>> => ({
    KeyId: scope.keyId,
    NumberOfBytes: DATA_KEY_BYTES,
    EncryptionContext: scope.encryptionContext,
  });
  const decryptInput = (CiphertextBlob: Uint8Array, scope: DataKeyScope): Readonly<Record<string, unknown>> => ({
    // Named, so that KMS can tell a key that is gone from bytes that no key made.
    KeyId: scope.keyId,
    CiphertextBlob,
    EncryptionContext: scope.encryptionContext,
  });
  return {
    async generateDataKey(call, scope) {
      const answer = (await dispatch.run(call, "kms", "GenerateDataKey", generateInput(scope))) as DataKeyAnswer;
      return { plaintext: answer.Plaintext, ciphertext: answer.CiphertextBlob, keyArn: answer.KeyId };
    },
    async decrypt(call, ciphertext, scope) {
      const answer = await dispatch.run(call, "kms", "Decrypt", decryptInput(ciphertext, scope));
      return (answer as { readonly Plaintext: Uint8Array }).Plaintext;
    },
    authorizeGenerate: (call, scope, remembered) =>
      dispatch.authorize(call, "kms", "GenerateDataKey", generateInput(scope), remembered),
    isStillAuthorized: (call, remembered) => dispatch.isStillAllowed(call, remembered),
    authorizeDecrypt: (call, ciphertext, scope, remembered) =>
      dispatch.authorize(call, "kms", "Decrypt", decryptInput(ciphertext, scope), remembered),
  };
}
