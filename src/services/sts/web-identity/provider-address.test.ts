import type { lookup, LookupAddress } from "node:dns";
import { expect, test } from "vitest";
import { systemClock } from "../../../base/clock.ts";
import { startProvider } from "../testing/identity-provider.ts";
import { createFetchDocument } from "./fetch-document.ts";
import { guardedLookup, isAddressAllowed, providerUrl, reachOf, refusalOf } from "./provider-address.ts";

test("no address of the server's own machine, of its link or of a cloud's metadata is the network's, however it is written", () => {
  for (const address of [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "224.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "localhost",
    "",
  ]) {
    expect(isAddressAllowed(address, "network"), address).toBe(false);
  }
  for (const address of [
    "203.0.113.7",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "2a00::1",
    "fd12::1",
    "::ffff:10.0.0.1",
  ]) {
    expect(isAddressAllowed(address, "network"), address).toBe(true);
    expect(isAddressAllowed(address, "loopback"), address).toBe(false);
  }
  for (const address of ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
    expect(isAddressAllowed(address, "loopback")).toBe(true);
});

const urlOf = (text: string): URL => {
  const url = providerUrl(text);
  if (url === null) throw new Error(`no provider's address: ${text}`);
  return url;
};

test("a provider on the server's own machine is for the deployment's first account", () => {
  const rules = { loopbackAccountId: "111122223333", hosts: null };
  for (const text of ["http://127.0.0.1:8080/a", "http://localhost", "https://localhost", "https://2130706433/"]) {
    expect(refusalOf(rules, "111122223333", urlOf(text)), text).toBeNull();
    expect(refusalOf(rules, "444455556666", urlOf(text)), text).toContain("first account");
  }
  expect(refusalOf(rules, "444455556666", urlOf("https://idp.example.com"))).toBeNull();
  expect(providerUrl("http://idp.example.com")).toBeNull();
  expect(providerUrl("http://127.0.0.2")).toBeNull();
  // Names that lead there without saying so are the network's: their addresses are refused.
  expect(
    ["https://localhost.", "https://a.localhost", "https://127.0.0.2"].map((text) => reachOf(urlOf(text))),
  ).toEqual(["network", "network", "network"]);
});

test("an operator's list of hosts is all that is asked", () => {
  const rules = { loopbackAccountId: "111122223333", hosts: ["idp.example.com", "*.example.org", "10.0.0.5"] };
  const allowed = (text: string) => refusalOf(rules, "111122223333", urlOf(text)) === null;
  expect(
    ["https://idp.example.com/x", "https://IDP.example.com:8443", "https://a.b.example.org", "https://10.0.0.5"].every(
      allowed,
    ),
  ).toBe(true);
  expect(
    [
      "https://example.com",
      "https://x.idp.example.com",
      "https://example.org",
      "https://evilexample.org",
      "https://10.0.0.6",
      "http://127.0.0.1",
    ].some(allowed),
  ).toBe(false);
});

/** A name server that gives these answers, one after the other, the last one for ever. */
function resolver(...answers: readonly (readonly string[])[]) {
  const left = [...answers];
  const asked: string[] = [];
  const resolve = (
    host: string,
    _options: object,
    done: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
  ): void => {
    asked.push(host);
    const addresses = (left.length > 1 ? left.shift() : left[0]) ?? [];
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
  };
  return { asked, resolve: resolve as unknown as typeof lookup };
}

const resolved = (reach: "network" | "loopback", addresses: readonly string[], all: boolean) =>
  new Promise<unknown>((resolve) => {
    guardedLookup(reach, resolver(addresses).resolve)("idp.example.com", { all }, (error, ...found) =>
      resolve(error === null ? found : error.message),
    );
  });

test("a name leads nowhere if one of its addresses may not be asked", async () => {
  expect(await resolved("network", ["203.0.113.7"], false)).toEqual(["203.0.113.7", 4]);
  expect(await resolved("network", ["203.0.113.7"], true)).toEqual([[{ address: "203.0.113.7", family: 4 }]]);
  for (const addresses of [["203.0.113.7", "127.0.0.1"], ["::ffff:169.254.169.254"], []]) {
    expect(await resolved("network", addresses, true)).toMatch(/may not be asked/);
    expect(await resolved("network", addresses, false)).toMatch(/may not be asked/);
  }
  expect(await resolved("loopback", ["203.0.113.7"], true)).toMatch(/may not be asked/);
});

test("the address that was checked is the one connected to, for the certificate as for the document", async () => {
  const provider = await startProvider(Date.now(), { tls: true });
  try {
    const { port } = new URL(provider.url);
    const fetched = (host: string, reach: "network" | "loopback", names: ReturnType<typeof resolver>) =>
      createFetchDocument(systemClock(), names.resolve)(
        urlOf(`https://${host}:${port}/keys`),
        provider.thumbprints,
        reach,
      );
    const refused = /may not be asked/;
    await expect(fetched("idp.example.com", "network", resolver(["127.0.0.1"]))).rejects.toThrow(refused);
    await expect(fetched("127.0.0.2", "network", resolver([]))).rejects.toThrow(refused);
    expect(provider.asked).toEqual([]);
    // Its certificate is unknown, so that further connections follow: each looks at the address anew.
    for (const answers of [
      [["127.0.0.1"], ["192.0.2.1"]],
      [["127.0.0.1"], ["127.0.0.1"], ["192.0.2.1"]],
    ]) {
      const names = resolver(...answers);
      await expect(fetched("localhost", "loopback", names)).rejects.toThrow(refused);
      expect(names.asked).toHaveLength(answers.length);
    }
    expect(provider.asked).toEqual([]);
  } finally {
    await provider.close();
  }
});
