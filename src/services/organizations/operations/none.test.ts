import { expect, test } from "vitest";
import { organizationsRoom } from "../testing/organizations-room.ts";

test("an organization without trusted services, delegated administrators and handshakes says so", async () => {
  const room = await organizationsRoom();
  expect(await room.run("ListAWSServiceAccessForOrganization", {})).toEqual({ EnabledServicePrincipals: [] });
  expect(await room.run("ListDelegatedAdministrators", {})).toEqual({ DelegatedAdministrators: [] });
  expect(await room.run("ListHandshakesForOrganization", {})).toEqual({ Handshakes: [] });
  expect(await room.failure("ListHandshakesForOrganization", { NextToken: "x" })).toBe(
    "InvalidInputException: INVALID_NEXT_TOKEN",
  );
});

test("a member asks for its own handshakes only", async () => {
  const room = await organizationsRoom();
  const member = await room.account("member");
  expect(await room.run("ListHandshakesForAccount", {}, member)).toEqual({ Handshakes: [] });
  for (const name of [
    "ListHandshakesForOrganization",
    "ListAWSServiceAccessForOrganization",
    "ListDelegatedAdministrators",
  ] as const) {
    expect(await room.failure(name, {}, member), name).toMatch(/^AccessDeniedException/);
  }
});
