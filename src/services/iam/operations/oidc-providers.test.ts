import { describe, expect, test } from "vitest";
import { ACCOUNT, iamRoom } from "../testing/iam-room.ts";

const Url = "https://token.actions.example.com/org";
const OpenIDConnectProviderArn = `arn:aws:iam::${ACCOUNT}:oidc-provider/token.actions.example.com/org`;
const thumbprint = (digit: string): string => digit.repeat(40);

describe("OpenID Connect providers", () => {
  test("a provider goes by the address without its scheme", async () => {
    const room = await iamRoom();
    const created = await room.run("CreateOpenIDConnectProvider", {
      Url,
      ClientIDList: ["app", "app", "other"],
      ThumbprintList: [thumbprint("A")],
      Tags: [{ Key: "k", Value: "v" }],
    });
    expect(created).toEqual({ OpenIDConnectProviderArn, Tags: [{ Key: "k", Value: "v" }] });
    expect(await room.run("GetOpenIDConnectProvider", { OpenIDConnectProviderArn })).toEqual({
      Url: "token.actions.example.com/org",
      ClientIDList: ["app", "other"],
      ThumbprintList: [thumbprint("a")],
      CreateDate: room.clock.wallMs(),
      Tags: [{ Key: "k", Value: "v" }],
    });
    expect(await room.run("ListOpenIDConnectProviders", {})).toEqual({
      OpenIDConnectProviderList: [{ Arn: OpenIDConnectProviderArn }],
    });
    expect(await room.failure("CreateOpenIDConnectProvider", { Url })).toBe(
      `EntityAlreadyExists 409: Provider with url ${Url} already exists.`,
    );
    expect((await room.run("GetAccountSummary", {})).SummaryMap?.["Providers"]).toBe(1);
  });

  test.each([
    ["example.com", "ValidationError 400"],
    ["https://", "ValidationError 400"],
    ["http://example.com", "InvalidInput 400"],
    ["https://user:word@example.com", "InvalidInput 400"],
    ["https://example.com?x=1", "InvalidInput 400"],
    ["https://example.com/#x", "InvalidInput 400"],
    ["https://exa_mple.com", "InvalidInput 400"],
    ["https://example.com/a/../b", "InvalidInput 400"],
    ["https://example.com/a b", "InvalidInput 400"],
    ["https://example.com:99999", "InvalidInput 400"],
    ["https://example.com/\u0001", "InvalidInput 400"],
    ["https://example.com/ü", "InvalidInput 400"],
  ])("no provider at %s", async (address, error) => {
    const room = await iamRoom();
    const failure = await room.failure("CreateOpenIDConnectProvider", { Url: address });
    expect(failure).toContain(`${error}: Invalid Open ID Connect Provider URL`);
  });

  test.each(["https://example.com", "https://Example.com/", "https://localhost:8443/realms/x", "https://192.0.2.1/a"])(
    "a provider at %s",
    async (address) => {
      const room = await iamRoom();
      const arn = `arn:aws:iam::${ACCOUNT}:oidc-provider/${address.slice(8)}`;
      expect(await room.run("CreateOpenIDConnectProvider", { Url: address })).toEqual({
        OpenIDConnectProviderArn: arn,
      });
      const found = await room.run("GetOpenIDConnectProvider", { OpenIDConnectProviderArn: arn });
      expect(found.Url).toBe(address.slice(8));
    },
  );

  test("five thumbprints of forty hexadecimal digits, a hundred clients, a hundred providers", async () => {
    const room = await iamRoom();
    const create = (input: { ThumbprintList?: string[]; ClientIDList?: string[] }) =>
      room.failure("CreateOpenIDConnectProvider", { Url, ...input });
    expect(await create({ ThumbprintList: ["0", "1", "2", "3", "4", "5"].map(thumbprint) })).toBe(
      "InvalidInput 400: Thumbprint list must contain fewer than 5 entries.",
    );
    expect(await create({ ThumbprintList: [thumbprint("g")] })).toContain("InvalidInput 400");
    const clients = Array.from({ length: 101 }, (_, number) => `client${number}`);
    const tooMany = "LimitExceeded 409: Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100";
    expect(await create({ ClientIDList: clients })).toBe(tooMany);
    expect(await create({ ClientIDList: clients.slice(1) })).toBe("no error");
    const add = (ClientID: string) =>
      room.failure("AddClientIDToOpenIDConnectProvider", { OpenIDConnectProviderArn, ClientID });
    expect(await add("client1")).toBe("no error");
    expect(await add("client0")).toBe(tooMany);
    for (let number = 1; number < 100; number++) {
      await room.run("CreateOpenIDConnectProvider", { Url: `https://example.com/${number}` });
    }
    expect(await room.failure("CreateOpenIDConnectProvider", { Url: "https://example.com/more" })).toBe(
      "LimitExceeded 409: Cannot exceed quota for OpenIdConnectProvidersPerAccount: 100",
    );
    expect((await room.run("ListOpenIDConnectProviders", {})).OpenIDConnectProviderList).toHaveLength(100);
  });

  test("clients, thumbprints and tags are changed one by one", async () => {
    const room = await iamRoom();
    await room.run("CreateOpenIDConnectProvider", { Url, ClientIDList: ["a"], ThumbprintList: [thumbprint("1")] });
    const named = { OpenIDConnectProviderArn };
    await room.run("AddClientIDToOpenIDConnectProvider", { ...named, ClientID: "b" });
    await room.run("RemoveClientIDFromOpenIDConnectProvider", { ...named, ClientID: "a" });
    await room.run("RemoveClientIDFromOpenIDConnectProvider", { ...named, ClientID: "never" });
    await room.run("UpdateOpenIDConnectProviderThumbprint", { ...named, ThumbprintList: [thumbprint("2")] });
    await room.run("TagOpenIDConnectProvider", { ...named, Tags: [{ Key: "k", Value: "1" }] });
    expect(await room.run("GetOpenIDConnectProvider", named)).toMatchObject({
      ClientIDList: ["b"],
      ThumbprintList: [thumbprint("2")],
      Tags: [{ Key: "k", Value: "1" }],
    });
    const [check] = await room.checks("UntagOpenIDConnectProvider", { ...named, TagKeys: ["k"] });
    expect(check?.context).toEqual({ "aws:ResourceTag/k": "1", "iam:ResourceTag/k": "1", "aws:TagKeys": ["k"] });
    await room.run("UntagOpenIDConnectProvider", { ...named, TagKeys: ["k"] });
    expect((await room.run("ListOpenIDConnectProviderTags", named)).Tags).toEqual([]);
  });

  test("deleting is no error for an absent one; anything else is; texts that are no provider's ARN are refused", async () => {
    const room = await iamRoom();
    await room.run("CreateOpenIDConnectProvider", { Url });
    for (let times = 0; times < 2; times++) {
      await room.run("DeleteOpenIDConnectProvider", { OpenIDConnectProviderArn });
    }
    expect((await room.run("GetAccountSummary", {})).SummaryMap?.["Providers"]).toBe(0);
    expect(await room.failure("GetOpenIDConnectProvider", { OpenIDConnectProviderArn })).toBe(
      `NoSuchEntity 404: OpenIDConnect Provider not found for arn ${OpenIDConnectProviderArn}`,
    );
    for (const arn of [
      `arn:aws:iam::${ACCOUNT}:user/a`,
      `arn:aws:iam::${ACCOUNT}:oidc-provider/\u0001`,
      `arn:aws:iam::${ACCOUNT}:oidc-provider/${"x".repeat(2_000)}`,
      `arn:aws:iam::${ACCOUNT}:oidc-provider/\ud800`,
    ]) {
      expect(await room.failure("GetOpenIDConnectProvider", { OpenIDConnectProviderArn: arn })).toContain(
        "InvalidInput 400",
      );
    }
  });

  test("the provider of another account is as good as absent", async () => {
    const room = await iamRoom();
    await room.run("CreateOpenIDConnectProvider", { Url });
    const other = {
      type: "Root",
      arn: "arn:aws:iam::444455556666:root",
      accountId: "444455556666",
      userId: "4",
    } as const;
    expect(await room.failure("GetOpenIDConnectProvider", { OpenIDConnectProviderArn }, other)).toContain(
      "NoSuchEntity 404",
    );
    await room.run("DeleteOpenIDConnectProvider", { OpenIDConnectProviderArn }, other);
    expect((await room.run("ListOpenIDConnectProviders", {})).OpenIDConnectProviderList).toHaveLength(1);
  });
});
