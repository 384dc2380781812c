import { describe, expect, test } from "vitest";
import { movableClock } from "../../../base/clock.ts";
import { ServiceError } from "../../../base/errors.ts";
import { systemRandom } from "../../../base/random.ts";
import type { AccessCheck, Call, Quota, ServiceQuotas } from "../../../gateway/contract.ts";
import { RecordReader } from "../../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../../store/memory-metadata-store.ts";
import { createServiceQuotasService } from "../api.ts";
import { appliedValues, Figures, type OwnFigures } from "../catalogue.ts";

const quota = (code: string, kind: Quota["kind"], value: number, adjustable = true): Quota => ({
  code,
  name: `${code} in full`,
  kind,
  adjustable,
  defaultIn: (region) => (region === "us-east-1" ? value * 2 : value),
});

const boxes: ServiceQuotas = {
  title: "Boxes",
  quotas: [quota("L-KEYS", "count", 10), quota("L-CALLS", "rate", 5), quota("L-FIXED", "count", 3, false)],
  charges: () => [],
  throttled: () => new ServiceError("ThrottlingException", ""),
};

// oxlint-disable-next-line no-explicit-any -- tests look into answers of every shape
type Answer = Record<string, any>;

interface Room {
  run(operation: string, input?: object, who?: { accountId?: string; region?: string }): Promise<Answer>;
  /** Code and message of the error that a call ends with. */
  failure(operation: string, input?: object): Promise<string>;
  readonly lastChecks: () => readonly AccessCheck[];
}

function room(own: OwnFigures = {}): Room {
  const store = memoryMetadataStore();
  const reader = new RecordReader(store);
  const clock = movableClock();
  const catalogue = new Map([["boxes", boxes]]);
  const figures = new Figures(catalogue, own);
  const service = createServiceQuotasService({
    catalogue,
    figures,
    values: appliedValues(reader, figures),
    random: systemRandom(),
  });
  let lastChecks: readonly AccessCheck[] = [];
  const made: Room = {
    lastChecks: () => lastChecks,
    async run(name, input = {}, { accountId = "111122223333", region = "eu-central-1" } = {}) {
      clock.advance(1);
      const operation = service.operations[name];
      if (operation === undefined) throw new Error(`no operation ${name}`);
      const principal = { type: "Root", arn: `arn:aws:iam::${accountId}:root`, accountId, userId: accountId };
      const tracking = reader.tracking();
      const call = { principal, region, nowMs: clock.wallMs(), service: "servicequotas", operation: name } as Call;
      const context = { call, read: tracking.reader };
      const { checks, target } = await operation.access(context, input);
      lastChecks = checks;
      const { output, writes } = await operation.handle(context, input, target);
      if (writes !== undefined) await store.commit({ expect: tracking.expectations(), writes });
      return output as Answer;
    },
    async failure(name, input) {
      try {
        await made.run(name, input);
      } catch (error) {
        if (error instanceof ServiceError) return `${error.code}: ${error.message}`;
        throw error;
      }
      return "none";
    },
  };
  return made;
}

const of = (QuotaCode: string) => ({ ServiceCode: "boxes", QuotaCode });

describe("the quotas", () => {
  test("are listed page by page, in the order of their codes", async () => {
    const { run } = room();
    expect(await run("ListServices")).toEqual({ Services: [{ ServiceCode: "boxes", ServiceName: "Boxes" }] });
    const first = await run("ListServiceQuotas", { ServiceCode: "boxes", MaxResults: 2 });
    expect(first["Quotas"].map((one: Answer) => one["QuotaCode"])).toEqual(["L-CALLS", "L-FIXED"]);
    const second = await run("ListServiceQuotas", { ServiceCode: "boxes", NextToken: first["NextToken"] });
    expect(second["Quotas"].map((one: Answer) => one["QuotaCode"])).toEqual(["L-KEYS"]);
    expect(second["NextToken"]).toBeUndefined();
  });

  test("say what they are, and their value in the Region", async () => {
    const { run } = room();
    expect((await run("GetServiceQuota", of("L-CALLS")))["Quota"]).toEqual({
      ServiceCode: "boxes",
      ServiceName: "Boxes",
      QuotaArn: "arn:aws:servicequotas:eu-central-1:111122223333:boxes/L-CALLS",
      QuotaCode: "L-CALLS",
      QuotaName: "L-CALLS in full",
      Value: 5,
      Unit: "None",
      Adjustable: true,
      GlobalQuota: false,
      Period: { PeriodValue: 1, PeriodUnit: "SECOND" },
      QuotaAppliedAtLevel: "ACCOUNT",
    });
    const elsewhere = await run("GetServiceQuota", of("L-CALLS"), { region: "us-east-1" });
    expect(elsewhere["Quota"].Value).toBe(10);
  });

  test("are refused by name when there are none such, and so is a token of another listing", async () => {
    const { run, failure } = room();
    expect(await failure("ListServiceQuotas", { ServiceCode: "sheds" })).toBe(
      "NoSuchResourceException: The request failed because the specified service does not exist.",
    );
    expect(await failure("GetServiceQuota", of("L-NONE"))).toBe(
      "NoSuchResourceException: The request failed because the specified quota L-NONE does not exist for service boxes.",
    );
    const { NextToken } = await run("ListServiceQuotas", { ServiceCode: "boxes", MaxResults: 1 });
    for (const token of [NextToken, "bm9uc2Vuc2U=", ""]) {
      expect(await failure("ListAWSDefaultServiceQuotas", { ServiceCode: "boxes", NextToken: token })).toContain(
        "InvalidPaginationTokenException",
      );
    }
  });

  test("are the operator's where there are such figures, by code or name", async () => {
    const { run } = room({ "L-CALLS": 0.5, "L-KEYS in full": 4 });
    expect((await run("GetServiceQuota", of("L-CALLS")))["Quota"].Value).toBe(0.5);
    expect((await run("GetAWSDefaultServiceQuota", of("L-KEYS")))["Quota"].Value).toBe(4);
    expect(() => room({ "L-CALL": 1 })).toThrow('There is no quota called "L-CALL"');
  });
});

describe("a request for an increase", () => {
  const increase = (code: string, DesiredValue: number) => ({ ...of(code), DesiredValue });

  test("is granted at once, for the account and the Region that asked, and kept on record", async () => {
    const { run } = room();
    const { RequestedQuota } = await run("RequestServiceQuotaIncrease", increase("L-CALLS", 12.5));
    expect(RequestedQuota).toMatchObject({ Status: "APPROVED", DesiredValue: 12.5, QuotaCode: "L-CALLS" });
    const valueFor = async (who: { accountId?: string; region?: string }): Promise<number> =>
      (await run("GetServiceQuota", of("L-CALLS"), who))["Quota"].Value as number;
    expect(await valueFor({})).toBe(12.5);
    expect(await valueFor({ accountId: "444455556666" })).toBe(5);
    expect(await valueFor({ region: "eu-west-1" })).toBe(5);
    expect((await run("GetAWSDefaultServiceQuota", of("L-CALLS")))["Quota"].Value).toBe(5);
    const found = await run("GetRequestedServiceQuotaChange", { RequestId: RequestedQuota.Id });
    expect(found["RequestedQuota"]).toEqual(RequestedQuota);
  });

  test("asks for permission on the quota itself", async () => {
    const { run, lastChecks } = room();
    await run("RequestServiceQuotaIncrease", increase("L-CALLS", 6));
    expect(lastChecks()).toEqual([
      {
        action: "servicequotas:RequestServiceQuotaIncrease",
        resource: "arn:aws:servicequotas:eu-central-1:111122223333:boxes/L-CALLS",
        resourceAccountId: "111122223333",
        context: { "servicequotas:service": "boxes" },
      },
    ]);
  });

  test("beyond what is reasonable is on record, and changes nothing", async () => {
    const { run } = room();
    const answer = await run("RequestServiceQuotaIncrease", increase("L-KEYS", 101));
    expect(answer["RequestedQuota"].Status).toBe("NOT_APPROVED");
    expect((await run("GetServiceQuota", of("L-KEYS")))["Quota"].Value).toBe(10);
    await run("RequestServiceQuotaIncrease", increase("L-KEYS", 100));
    expect((await run("GetServiceQuota", of("L-KEYS")))["Quota"].Value).toBe(100);
  });

  test("is refused when it is none, and for what cannot be adjusted", async () => {
    const { run, failure } = room();
    const notGreater = "IllegalArgumentException: You must provide a quota value greater than the current quota value.";
    expect(await failure("RequestServiceQuotaIncrease", increase("L-CALLS", 5))).toBe(notGreater);
    await run("RequestServiceQuotaIncrease", increase("L-CALLS", 8));
    expect(await failure("RequestServiceQuotaIncrease", increase("L-CALLS", 8))).toBe(notGreater);
    expect(await failure("RequestServiceQuotaIncrease", increase("L-FIXED", 8))).toBe(
      "IllegalArgumentException: The request failed because the specified quota is not adjustable.",
    );
    expect(await failure("GetRequestedServiceQuotaChange", { RequestId: "none" })).toContain("NoSuchResourceException");
  });

  test("is found in the history of its quota, of its service and of the account, page by page", async () => {
    const { run } = room();
    for (const value of [6, 7, 8]) await run("RequestServiceQuotaIncrease", increase("L-CALLS", value));
    await run("RequestServiceQuotaIncrease", increase("L-KEYS", 5_000));
    const values = (answer: Answer): number[] => answer["RequestedQuotas"].map((one: Answer) => one["DesiredValue"]);
    const first = await run("ListRequestedServiceQuotaChangeHistory", { MaxResults: 3 });
    expect(values(first)).toEqual([6, 7, 8]);
    expect(values(await run("ListRequestedServiceQuotaChangeHistory", { NextToken: first["NextToken"] }))).toEqual([
      5_000,
    ]);
    const byService = { ServiceCode: "boxes", Status: "NOT_APPROVED" };
    expect(values(await run("ListRequestedServiceQuotaChangeHistory", byService))).toEqual([5_000]);
    expect(values(await run("ListRequestedServiceQuotaChangeHistoryByQuota", of("L-CALLS")))).toEqual([6, 7, 8]);
    expect(values(await run("ListRequestedServiceQuotaChangeHistory", {}, { accountId: "444455556666" }))).toEqual([]);
  });
});
