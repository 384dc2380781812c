import { describe, expect, test } from "vitest";
import type { Reader } from "../../store/table.ts";
import { createPolicySource } from "./policy-source.ts";
import type { UnusablePolicy } from "./policy-source.ts";
import { users } from "./records.ts";
import type { UserRecord } from "./records.ts";
import { ACCOUNT, iamRoom, policyText, rootPrincipal, tinyCompile, userPrincipal } from "./testing/iam-room.ts";

async function sourceRoom() {
  const room = await iamRoom();
  await room.run("CreateUser", { UserName: "ann" });
  const compiled: string[] = [];
  const problems: UnusablePolicy[] = [];
  const reads: string[] = [];
  const reader: Reader = {
    async get(from, id) {
      reads.push(from.name);
      return room.reader.get(from, id);
    },
    list: () => Promise.reject(new Error("decisions may not read ranges")),
  };
  const source = createPolicySource({
    reader,
    compilePolicy(document, id) {
      compiled.push(id);
      return tinyCompile(document, id);
    },
    onUnusablePolicy: (problem) => problems.push(problem),
  });
  return { room, source, compiled, problems, reads };
}

const ann = userPrincipal("ann");

describe("policy source", () => {
  test("reads the user and each attached policy once, and compiles each version once", async () => {
    const { room, source, compiled, reads } = await sourceRoom();
    const { Policy } = await room.run("CreatePolicy", { PolicyName: "p", PolicyDocument: policyText("Allow", "a:B") });
    const PolicyArn = Policy?.Arn ?? "";
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn });
    await room.run("PutUserPolicy", {
      UserName: "ann",
      PolicyName: "inline",
      PolicyDocument: policyText("Deny", "a:C"),
    });
    const { identityPolicies } = await source.policiesOf(ann);
    expect(identityPolicies.map(({ id }) => id)).toEqual(["inline:inline", PolicyArn]);
    expect(reads).toEqual(["iam.user", "iam.policy"]);
    await source.policiesOf(ann);
    expect(compiled).toEqual(["inline:inline", PolicyArn]);
    await room.run("CreatePolicyVersion", { PolicyArn, PolicyDocument: policyText("Deny", "*"), SetAsDefault: true });
    const changed = await source.policiesOf(ann);
    expect(changed.identityPolicies.at(-1)?.statements[0]?.effect).toBe("Deny");
    expect(compiled).toEqual(["inline:inline", PolicyArn, PolicyArn]);
  });

  test("an attached deny is there at the next call", async () => {
    const { room, source } = await sourceRoom();
    expect((await source.policiesOf(ann)).identityPolicies).toEqual([]);
    await room.run("PutUserPolicy", { UserName: "ann", PolicyName: "no", PolicyDocument: policyText("Deny", "*") });
    expect((await source.policiesOf(ann)).identityPolicies[0]?.statements[0]?.effect).toBe("Deny");
  });

  test("carries tags and boundary", async () => {
    const { room, source } = await sourceRoom();
    await room.run("TagUser", { UserName: "ann", Tags: [{ Key: "team", Value: "red" }] });
    const PermissionsBoundary = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    await room.run("PutUserPermissionsBoundary", { UserName: "ann", PermissionsBoundary });
    const { boundary, tags } = await source.policiesOf(ann);
    expect(boundary?.id).toBe(PermissionsBoundary);
    expect(tags).toEqual({ team: "red" });
  });

  test("a stored policy that does not compile denies everything and is reported", async () => {
    const { room, source, problems } = await sourceRoom();
    const user = (await room.reader.get(users, [ACCOUNT, "ann"])) as UserRecord;
    const broken: UserRecord = {
      ...user,
      inlinePolicies: [{ name: "broken", document: "{" }],
      attachedPolicyArns: [`arn:aws:iam::${ACCOUNT}:policy/gone`],
    };
    await room.store.commit({ expect: [], writes: [users.put([ACCOUNT, "ann"], broken)] });
    const { identityPolicies } = await source.policiesOf(ann);
    expect(identityPolicies).toHaveLength(2);
    for (const { statements } of identityPolicies) {
      expect(statements[0]).toMatchObject({ effect: "Deny" });
      expect(statements[0]?.matches({} as never)).toBe(true);
    }
    expect(problems.map(({ policyId }) => policyId)).toEqual(["inline:broken", `arn:aws:iam::${ACCOUNT}:policy/gone`]);
  });

  test("a user that is gone, or came back elsewhere, may nothing", async () => {
    const { room, source } = await sourceRoom();
    await room.run("DeleteUser", { UserName: "ann" });
    expect((await source.policiesOf(ann)).identityPolicies[0]?.statements[0]?.effect).toBe("Deny");
    await room.run("CreateUser", { UserName: "ann", Path: "/other/" });
    expect((await source.policiesOf(ann)).identityPolicies[0]?.statements[0]?.effect).toBe("Deny");
  });

  test("root has no policies and needs none; a session that nobody issued may nothing", async () => {
    const { source } = await sourceRoom();
    expect((await source.policiesOf(rootPrincipal)).identityPolicies).toEqual([]);
    const session = { type: "AssumedRole", arn: `arn:aws:sts::${ACCOUNT}:assumed-role/r/s`, accountId: ACCOUNT };
    expect((await source.policiesOf(session)).identityPolicies[0]?.statements[0]?.effect).toBe("Deny");
  });
});
