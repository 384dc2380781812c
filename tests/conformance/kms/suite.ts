import { KMS } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, createUser, rootClients, type Statement, type User } from "../../support/clients.ts";
import { type Credentials, type RunningServer, serverForAll, type StartOptions } from "../../support/server.ts";
import { MODELLED, type OperationName } from "./modelled.ts";

/** What a test proves of an operation: `happy`, or the code of an error. `tools/kms-table.ts` reads it from the report. */
export interface Proof {
  readonly operation: string;
  readonly shows: string;
  /** The errors that the service model gives the operation. */
  readonly documented: readonly string[];
}

declare module "vitest" {
  interface TaskMeta {
    kms?: Proof;
  }
}

/** How a call of KMS ended. */
interface Ended {
  readonly operation: string;
  readonly shows: string;
}

/** A principal's client for KMS, whose calls the suite sees. */
export interface Caller {
  readonly kms: KMS;
  readonly arn: string;
}

export interface KmsSuite {
  readonly server: () => RunningServer;
  /** Clients of the account's root for the other services. */
  readonly others: () => Clients;
  readonly kms: () => KMS;
  /** The root's client in another Region. */
  readonly inRegion: (region: string) => KMS;
  /** A new user with an inline policy of these statements. */
  readonly user: (name: string, statements: readonly Statement[]) => Promise<Caller>;
  /** A test of an operation's happy path; it fails unless the operation was called and succeeded. */
  readonly works: (operation: OperationName, how: string, run: () => Promise<void>) => void;
  /** A test that the key's state lets a call pass, which is then refused for another reason: nothing for the table. */
  readonly passes: (operation: OperationName, how: string, call: () => Promise<unknown>) => void;
  /** A test that a call is refused with this code, status 400 and, if given, this message. */
  readonly refuses: (
    operation: OperationName,
    code: string,
    how: string,
    call: () => Promise<unknown>,
    message?: string | RegExp | (() => string),
  ) => void;
}

/** One server for the tests of a file, and the ways in which they say what they prove. */
export function kmsSuite(options: Omit<StartOptions, "dataDir"> = {}): KmsSuite {
  const server = serverForAll(options);
  const ended: Ended[] = [];
  const made: { destroy(): void }[] = [];
  const ofRegion = new Map<string, KMS>();
  let root: Clients | undefined;

  const client = (credentials: Credentials, region: string): KMS => {
    const kms = new KMS({ endpoint: server().endpoint, region, credentials, maxAttempts: 1 });
    kms.middlewareStack.add(
      (next, context) => async (args) => {
        const operation = String(context.commandName).replace(/Command$/, "");
        try {
          const result = await next(args);
          ended.push({ operation, shows: "happy" });
          return result;
        } catch (error) {
          ended.push({ operation, shows: error instanceof Error ? error.name : String(error) });
          throw error;
        }
      },
      { step: "initialize" },
    );
    made.push(kms);
    return kms;
  };
  const others = (): Clients => {
    if (root === undefined) throw new Error("clients exist only inside tests");
    return root;
  };
  const inRegion = (region: string): KMS => {
    const kms = ofRegion.get(region) ?? client(others().credentials, region);
    ofRegion.set(region, kms);
    return kms;
  };
  const proof = (operation: OperationName, shows: string, how: string, run: () => Promise<void>): void => {
    test(`${operation}: ${shows}: ${how}`, async ({ task }) => {
      // Before it runs, so that the table sees what failed as well.
      task.meta.kms = { operation, shows, documented: MODELLED[operation] };
      ended.length = 0;
      await run();
      expect(ended).toContainEqual({ operation, shows });
    });
  };

  beforeAll(async () => {
    root = await rootClients(server());
    made.push(root);
  });
  afterAll(() => {
    for (const one of made) one.destroy();
  });
  return {
    server,
    others,
    kms: () => inRegion(server().region),
    inRegion,
    async user(name, statements) {
      const user: User = await createUser(server(), others(), name, statements);
      made.push(user);
      return { arn: user.arn, kms: client(user.credentials, server().region) };
    },
    passes: (operation, how, call) =>
      test(`${operation}: passes: ${how}`, async () => {
        expect((await refusalOf(call())).code).not.toMatch(/^(?:Disabled|KMSInvalidState)Exception$/);
      }),
    works: (operation, how, run) => proof(operation, "happy", how, run),
    refuses: (operation, code, how, call, message) =>
      proof(operation, code, how, async () => expectRefusal(call(), code, message)),
  };
}

/** Fails unless the call is refused with this code and status 400, in these words if any are given. */
export async function expectRefusal(
  call: Promise<unknown>,
  code: string,
  message?: string | RegExp | (() => string),
): Promise<void> {
  const refused = await refusalOf(call);
  expect(refused).toMatchObject({ code, status: 400 });
  if (message instanceof RegExp) expect(refused.message).toMatch(message);
  else if (message !== undefined) expect(refused.message).toBe(typeof message === "string" ? message : message());
}

/** An error answer as a caller sees it. */
export interface Refusal {
  readonly code: string;
  readonly status: number | undefined;
  /** Empty when the answer has none: the SDK then puts `UnknownError` in its place. */
  readonly message: string;
}

/** How a call is refused; fails when it is not. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { httpStatusCode } = (error as { $metadata?: { httpStatusCode?: number } }).$metadata ?? {};
    return { code: error.name, status: httpStatusCode, message: error.message === "UnknownError" ? "" : error.message };
  }
  return { code: "(succeeded)", status: 200, message: "" };
}

/** A member that the answer must have. */
export function given<T>(value: T | undefined, what = "a member of the answer"): T {
  if (value === undefined) throw new Error(`${what} is missing`);
  return value;
}

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"));
