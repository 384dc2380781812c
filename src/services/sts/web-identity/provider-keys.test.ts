import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { movableClock, systemClock } from "../../../base/clock.ts";
import type { IdentityProvider } from "../ports.ts";
import { startProvider } from "../testing/identity-provider.ts";
import { createFetchDocument, FETCH_MS_MAX } from "./fetch-document.ts";
import { createProviderKeys } from "./provider-keys.ts";
import { parseToken } from "./token.ts";

const OWNER = "111122223333";

const known = (url: string, accountId = OWNER): IdentityProvider => ({
  accountId,
  arn: `arn:aws:iam::${accountId}:oidc-provider/${url.replace(/^https?:\/\//, "")}`,
  url,
  clientIds: ["app"],
  thumbprints: [],
});

test("a provider that answers with another protocol, or hangs up, is refused at once", async () => {
  for (const answer of ["HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\nhello", ""]) {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined);
      socket.once("data", () => (answer === "" ? socket.end() : socket.write(answer)));
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/up`);
    const fetchDocument = createFetchDocument(systemClock());
    await expect(fetchDocument(url, [], "loopback")).rejects.toThrow(answer === "" ? /hang up|answer/ : /101/);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => void server.close(resolve));
  }
});

/** Keys of providers whose documents come when the test says so. */
function keysRoom() {
  const clock = movableClock();
  const asked: string[] = [];
  const answers: ((failure: Error) => void)[] = [];
  const failures: string[] = [];
  const keys = createProviderKeys({
    clock,
    rules: { loopbackAccountId: OWNER, hosts: null },
    onFailure: (arn) => failures.push(arn),
    fetchDocument: (url) => {
      asked.push(url.href);
      return new Promise((_resolve, reject) => void answers.push(reject));
    },
  });
  return { clock, asked, answers, failures, keys };
}

const turns = async (): Promise<void> => {
  for (let at = 0; at < 20; at++) await Promise.resolve();
};

test("one account's providers leave room for the others', and none is remembered as failed because others were asked", async () => {
  const source = await startProvider(Date.now());
  await source.close();
  const token = parseToken(source.token());
  const { clock, asked, answers, failures, keys } = keysRoom();
  const refusals: Promise<unknown>[] = [];
  for (let at = 0; at < 10; at++) {
    const provider = known(`https://slow-${at}.example.com`, "444455556666");
    refusals.push(keys.requireSigned(provider, token).catch((error: unknown) => error));
  }
  await turns();
  expect(asked).toHaveLength(4);
  expect(failures).toEqual([]);
  await expect(refusals[9]).resolves.toMatchObject({
    code: "IDPCommunicationError",
    message: expect.stringContaining("Too many"),
  });
  const own = known("https://own.example.com", "777788889999");
  const owns = keys.requireSigned(own, token).catch((error: unknown) => error);
  await turns();
  expect(asked).toHaveLength(5);
  for (const fail of answers.splice(0)) fail(new Error("not today"));
  await Promise.all([...refusals, owns]);
  expect(failures).toHaveLength(5);
  // The one that had to wait is asked as soon as there is room, though not half a minute has passed.
  const again = keys.requireSigned(known("https://slow-9.example.com", "444455556666"), token).catch(() => undefined);
  await turns();
  expect(asked.at(-1)).toContain("slow-9");
  clock.advance(FETCH_MS_MAX);
  for (const fail of answers) fail(new Error("not today"));
  await again;
});

test("a member account's provider on the server's machine is not asked, nor where another's keys would lead to it", async () => {
  const source = await startProvider(Date.now());
  const token = parseToken(source.token());
  const { asked, failures, keys } = keysRoom();
  await expect(keys.requireSigned(known(source.url, "444455556666"), token)).rejects.toMatchObject({
    code: "IDPCommunicationError",
    message: expect.stringContaining("first account"),
  });
  expect(asked).toEqual([]);
  expect(failures).toEqual([]);

  const elsewhere = known("https://idp.example.com");
  for (const jwksUri of ["http://127.0.0.1:1/keys", "https://localhost/keys", `${source.url}/keys`]) {
    const urls: string[] = [];
    const rules = { loopbackAccountId: OWNER, hosts: null };
    const led = createProviderKeys({
      clock: systemClock(),
      rules,
      onFailure: () => undefined,
      fetchDocument: async (url) => {
        urls.push(url.href);
        return { issuer: elsewhere.url, jwks_uri: jwksUri };
      },
    });
    await expect(led.requireSigned(elsewhere, token)).rejects.toMatchObject({ code: "IDPCommunicationError" });
    expect(urls, jwksUri).toHaveLength(1);
  }
  await source.close();
});
