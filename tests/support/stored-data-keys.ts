import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DecryptCommand, type KMSClient } from "@aws-sdk/client-kms";

export interface StreamKey {
  /** The KMS key that the stream is encrypted under. */
  readonly keyId: string;
  readonly region: string;
  readonly streamArn: string;
}

/** The wrapped data keys in a store's blocks: KMS ciphertexts of 32 bytes, docs/formats/kms-ciphertext.md. */
function wrappedDataKeys(dataDir: string, { keyId, region }: StreamKey): readonly Buffer[] {
  const head = Buffer.concat([Buffer.from([1, 1, 1]), Buffer.from(keyId.replaceAll("-", ""), "hex")]);
  const length = 26 + region.length + 32 + 16 + 32 + 32 + 16;
  const found = new Map<string, Buffer>();
  for (const name of readdirSync(dataDir, { recursive: true, encoding: "utf8" })) {
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(dataDir, name));
    } catch {
      continue;
    }
    for (let at = bytes.indexOf(head); at !== -1; at = bytes.indexOf(head, at + 1)) {
      const blob = Buffer.from(bytes.subarray(at, at + length));
      found.set(blob.toString("hex"), blob);
    }
  }
  return [...found.values()];
}

/**
 * The data keys that a stream's records are sealed with. KMS is asked for them, so that the server's memory holds them
 * afterwards: whoever looks for them there takes a copy of it before.
 */
export async function storedDataKeys(kms: KMSClient, dataDir: string, stream: StreamKey): Promise<readonly Buffer[]> {
  const keys: Buffer[] = [];
  for (const CiphertextBlob of wrappedDataKeys(dataDir, stream)) {
    const EncryptionContext = { "aws:kinesis:arn": stream.streamArn };
    // Bytes that only look like one do not open.
    const answer = await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext })).catch(() => null);
    if (answer?.Plaintext !== undefined) keys.push(Buffer.from(answer.Plaintext));
  }
  return keys;
}
