/** A gateway, a KMS and a secret box just good enough to run this service in tests. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { SealedBytes } from "../../../base/brand.ts";
import type { MovableClock } from "../../../base/clock.ts";
import { movableClock } from "../../../base/clock.ts";
import { internalFailure, ServiceError } from "../../../base/errors.ts";
import { systemRandom } from "../../../base/random.ts";
import type { DataKeys } from "../../../envelope/data-keys.ts";
import { compilePolicy } from "../../../authz/compile.ts";
import { ownContext, requestContext } from "../../../authz/context.ts";
import { decide } from "../../../authz/decide.ts";
import { createDataKeys } from "../../../envelope/data-keys.ts";
import type { DataKeyScope, KeyService } from "../../../envelope/key-service.ts";
import type { SecretBox } from "../../../envelope/secret-box.ts";
import type {
  Access,
  AccessCheck,
  Afterwards,
  Call,
  Dispatch,
  OperationContext,
  Principal,
  Service,
} from "../../../gateway/contract.ts";
import { RecordReader } from "../../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../../store/memory-metadata-store.ts";
import { memoryRecordLog } from "../../../store/memory-record-log.ts";
import type { MetadataStore } from "../../../store/metadata-store.ts";
import type { RecordLog } from "../../../store/record-log.ts";
import { createKinesisService, type KinesisDeps } from "../api.ts";
import type { ResourcePolicyLanguage } from "../resource-policies.ts";
import { TRANSITION_MS } from "../model.ts";
import type { Operations } from "../shapes.generated.ts";

export const ACCOUNT = "111122223333";
export const REGION = "eu-central-1";
export const KEY_ARN = `arn:aws:kms:${REGION}:${ACCOUNT}:key/11111111-1111-4111-8111-111111111111`;
export const OTHER_KEY_ARN = `arn:aws:kms:${REGION}:${ACCOUNT}:key/22222222-2222-4222-8222-222222222222`;

export const principal = (name: string, accountId: string = ACCOUNT): Principal => ({
  type: "User",
  arn: `arn:aws:iam::${accountId}:user/${name}`,
  accountId,
  userId: `AIDA${createHash("sha256").update(name).digest("hex").slice(0, 16).toUpperCase()}`,
  userName: name,
});

const gcm = (key: Uint8Array, aad: string, plaintext: Uint8Array): Buffer => {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(aad));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
};

const ungcm = (key: Uint8Array, aad: string, sealed: Uint8Array): Buffer | null => {
  if (sealed.length < 28) return null;
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12)).setAAD(Buffer.from(aad));
  decipher.setAuthTag(sealed.subarray(sealed.length - 16));
  const plaintext = decipher.update(sealed.subarray(12, sealed.length - 16));
  try {
    return Buffer.concat([plaintext, decipher.final()]);
  } catch {
    return null;
  }
};

export function testSecretBox(): SecretBox {
  const key = randomBytes(32);
  return {
    seal: (purpose, binding, secret) => new Uint8Array(gcm(key, `${purpose}|${binding}`, secret)) as SealedBytes,
    open: (purpose, binding, sealed) => ungcm(key, `${purpose}|${binding}`, sealed),
  };
}

/** Counts what is asked of it; refuses whom it is told to. */
export class FakeKms implements KeyService, Dispatch {
  generated = 0;
  decrypted = 0;
  authorized = 0;
  readonly #master = randomBytes(32);
  readonly refusals = new Map<string, ServiceError>();
  readonly states = new Map<string, string>([
    [KEY_ARN, "Enabled"],
    [OTHER_KEY_ARN, "Enabled"],
  ]);
  readonly spec = { KeySpec: "SYMMETRIC_DEFAULT", KeyUsage: "ENCRYPT_DECRYPT" };

  /** Asks every time: who was refused since must not slip through. */
  isStillAuthorized(): boolean {
    return false;
  }
  isStillAllowed(): boolean {
    return false;
  }

  /** `who` is a user name; `*` refuses all. */
  refuse(who: string, code: string, message: string): void {
    this.refusals.set(who, new ServiceError(code, message));
  }

  #check(call: Call, keyArn: string): void {
    const refused = this.refusals.get("*") ?? this.refusals.get(call.principal.userName ?? "");
    if (refused !== undefined) throw refused;
    const state = this.states.get(keyArn);
    if (state === undefined) throw new ServiceError("NotFoundException", `Key '${keyArn}' does not exist`);
    if (state === "Disabled") throw new ServiceError("DisabledException", `${keyArn} is disabled.`);
    if (state !== "Enabled") throw new ServiceError("KMSInvalidStateException", `${keyArn} is pending deletion.`);
  }

  #aad = (scope: DataKeyScope): string => `${scope.keyId}|${JSON.stringify(scope.encryptionContext)}`;

  async generateDataKey(call: Call, scope: DataKeyScope): ReturnType<KeyService["generateDataKey"]> {
    this.generated++;
    await Promise.resolve();
    this.#check(call, scope.keyId);
    const plaintext = randomBytes(32);
    return { plaintext, ciphertext: gcm(this.#master, this.#aad(scope), plaintext), keyArn: scope.keyId };
  }

  async decrypt(call: Call, ciphertext: Uint8Array, scope: DataKeyScope): Promise<Uint8Array> {
    this.decrypted++;
    await Promise.resolve();
    this.#check(call, scope.keyId);
    const plaintext = ungcm(this.#master, this.#aad(scope), ciphertext);
    if (plaintext === null) throw new ServiceError("InvalidCiphertextException", "");
    return plaintext;
  }

  async authorizeGenerate(call: Call, scope: DataKeyScope): Promise<void> {
    this.authorized++;
    this.#check(call, scope.keyId);
  }

  async authorizeDecrypt(call: Call, _ciphertext: Uint8Array, scope: DataKeyScope): Promise<void> {
    this.authorized++;
    this.#check(call, scope.keyId);
  }

  async run(call: Call, _service: string, operation: string, input: unknown): Promise<unknown> {
    if (operation !== "DescribeKey") throw new Error(operation);
    const refused = this.refusals.get(call.principal.userName ?? "");
    if (refused !== undefined) throw refused;
    const { KeyId } = input as { KeyId: string };
    const arn = KeyId.startsWith("alias/") ? KEY_ARN : KeyId;
    const KeyState = this.states.get(arn);
    if (KeyState === undefined) throw new ServiceError("NotFoundException", `Key '${arn}' does not exist`);
    return { KeyMetadata: { Arn: arn, KeyState, ...this.spec } };
  }

  async authorize(): Promise<void> {
    throw new Error("not asked by this service");
  }
}

/** The real policy language, among principals who are all there and have no ids. */
export const policyLanguage: ResourcePolicyLanguage = {
  compilePolicy: (document, id, ids) => compilePolicy(document, { id, kind: "resource", lengthMax: 100_000 }, ids),
  principals: {
    bind: () => Promise.resolve({ ids: {}, unknown: [] }),
    nameOf: (_read, arn) => Promise.resolve(arn),
    show: (_read, document) => Promise.resolve(document),
  },
};

/** What every principal of these tests carries: what it may not do is for the resource's policy to say. */
const ALLOW_ALL = compilePolicy(
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] }),
  { id: "inline:all", kind: "identity", lengthMax: 1_000 },
);

function isAllowed(call: Call, check: AccessCheck): boolean {
  const { resourceAccountId, resourcePolicy = null } = check;
  const { type, arn, accountId, userId } = call.principal;
  return decide({
    principal: { type, arn, accountId, userId },
    action: check.action,
    resource: check.resource,
    resourceAccountId,
    identityPolicies: [ALLOW_ALL],
    boundary: null,
    sessionPolicies: null,
    serviceControlPolicies: [],
    resourcePolicy,
    resourcePolicyMode: check.resourcePolicyMode ?? "optional",
    context: requestContext(call, { principalTags: {}, resourceAccountId, own: ownContext(check.context) }),
  }).allowed;
}

export class TestKinesis {
  readonly clock: MovableClock = movableClock();
  readonly kms: FakeKms = new FakeKms();
  readonly metadata: MetadataStore = memoryMetadataStore();
  readonly secretBox: SecretBox = testSecretBox();
  readonly dataKeys: DataKeys = createDataKeys({ keyService: this.kms, clock: this.clock });
  readonly reader: RecordReader = new RecordReader(this.metadata);
  readonly records: RecordLog;
  service: Service;
  /** Set before `restarted`. */
  streamLimits: "none" | "aws" = "none";
  /** What else the service is given; set before `restarted`. */
  further: Partial<KinesisDeps> = {};
  /** Actions asked for, in order, and who is denied what. */
  readonly actions: string[] = [];
  readonly denied = new Set<string>();

  constructor(records: RecordLog = memoryRecordLog()) {
    this.records = records;
    this.service = this.restarted();
  }

  /** The service as after a restart on the same stores. */
  restarted(): Service {
    const { records, metadata, reader, dataKeys, secretBox, clock, kms } = this;
    this.service = createKinesisService({
      records,
      metadata,
      reader,
      dataKeys,
      secretBox,
      clock,
      dispatch: kms,
      random: systemRandom(),
      streamLimits: this.streamLimits,
      ...policyLanguage,
      ...this.further,
    });
    return this.service;
  }

  call(operation: string, who: Principal = principal("ann")): Call {
    return {
      requestId: "11111111-2222-4333-8444-555555555555",
      principal: who,
      region: REGION,
      service: "kinesis",
      operation,
      nowMs: this.clock.wallMs(),
      sourceIp: "192.0.2.1",
      userAgent: "test",
      secureTransport: true,
    };
  }

  /** One request: access, permission, handler, commit; again on a conflict. */
  async run<Name extends keyof Operations>(
    name: Name,
    input: Operations[Name]["input"],
    who?: Principal,
  ): Promise<Operations[Name]["output"]> {
    const operation = this.service.operations[name];
    if (operation === undefined) throw new Error(`no operation ${name}`);
    for (;;) {
      const { reader, expectations } = this.reader.tracking();
      const permit = async (given: OperationContext): Promise<Access<unknown>> => {
        const access = (await operation.access(given, input)) as Access<unknown>;
        for (const check of access.checks) {
          this.actions.push(check.action);
          if (this.denied.has(check.action) || !isAllowed(given.call, check))
            throw new ServiceError("AccessDeniedException", `not authorized to perform: ${check.action}`);
        }
        await operation.check?.(given, input, access.target);
        return access;
      };
      const afterwards: Afterwards = {
        stillPermitted: async () => void (await permit({ call: this.call(name, who), read: this.reader })),
        endedBy: async (error) => (error instanceof ServiceError ? error : internalFailure(error)),
      };
      const context = { call: this.call(name, who), read: reader, afterwards };
      const access = await permit(context);
      const outcome = await operation.handle(context, input, access.target);
      const writes = outcome.writes ?? [];
      if (writes.length > 0 && (await this.metadata.commit({ expect: expectations(), writes })) === "conflict")
        continue;
      outcome.committed?.(null);
      return outcome.output as Operations[Name]["output"];
    }
  }

  /** A stream, past CREATING. */
  async stream(name = "orders", shardCount = 1): Promise<void> {
    await this.run("CreateStream", { StreamName: name, ShardCount: shardCount });
    this.clock.advance(TRANSITION_MS);
  }

  async encrypt(name = "orders", keyId: string = KEY_ARN): Promise<void> {
    await this.run("StartStreamEncryption", { StreamName: name, EncryptionType: "KMS", KeyId: keyId });
    this.clock.advance(TRANSITION_MS);
  }

  put(text: string, name = "orders", who?: Principal): Promise<Operations["PutRecord"]["output"]> {
    return this.run("PutRecord", { StreamName: name, PartitionKey: `key of ${text}`, Data: Buffer.from(text) }, who);
  }

  async iterator(
    type: "TRIM_HORIZON" | "LATEST" | "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER" = "TRIM_HORIZON",
    sequenceNumber?: string,
    name = "orders",
  ): Promise<string> {
    const { ShardIterator } = await this.run("GetShardIterator", {
      StreamName: name,
      ShardId: "shardId-000000000000",
      ShardIteratorType: type,
      StartingSequenceNumber: sequenceNumber,
    });
    return ShardIterator ?? "";
  }

  /** All that one GetRecords from the oldest record returns, as text. */
  async texts(name = "orders", who?: Principal): Promise<string[]> {
    const { Records } = await this.run(
      "GetRecords",
      { ShardIterator: await this.iterator("TRIM_HORIZON", undefined, name) },
      who,
    );
    return Records.map(({ Data }) => Buffer.from(Data).toString());
  }
}

/** Runs and answers with the ServiceError that it must throw. */
export async function refusal(run: Promise<unknown>): Promise<ServiceError> {
  try {
    await run;
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
