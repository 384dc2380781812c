import { expect, test } from "vitest";
import { parseHosts } from "../config.ts";

test("--oidc-hosts takes names, patterns and addresses", () => {
  expect(parseHosts("IDP.example.com, *.example.org,10.0.0.5,fd00::5,localhost")).toEqual([
    "idp.example.com",
    "*.example.org",
    "10.0.0.5",
    "fd00::5",
    "localhost",
  ]);
});

test.each([
  "",
  ",",
  "idp.example.com,",
  "*",
  "*.",
  "a.*.example.com",
  "https://idp.example.com",
  "idp.example.com:8443",
  "idp.example.com/x",
  "a b",
])("--oidc-hosts: %s is no list of hosts", (text) => {
  expect(parseHosts(text)).toBeNull();
});
