// Works with private keys through key threads, says so, clears them, says so again, and waits to be looked into.
// Keys come from files and go back to files, masked, so that this process has them only where the key workers put them.
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { createKeyWorkers } from "../../dist/src/crypto/asymmetric/worker-pool.js";

const MASK = 0x5a;
const [, , planText = ""] = process.argv;
const { keys, generated, results } = JSON.parse(planText);
const workers = createKeyWorkers({ operationThreadCount: 2 });

/** A file in memory of its own. */
function load(path) {
  const file = openSync(path, "r");
  const bytes = new Uint8Array(new ArrayBuffer(fstatSync(file).size));
  readSync(file, bytes);
  closeSync(file);
  return bytes;
}

const keyFrom = (path) => ({ id: path, copy: () => load(path) });

/** Length and bytes, masked, and overwritten where they came from. */
function hide(file, bytes) {
  const masked = bytes.map((byte) => byte ^ MASK);
  writeSync(file, Uint8Array.of(masked.length >> 8, masked.length & 0xff));
  writeSync(file, masked);
  bytes.fill(0);
}

const message = new Uint8Array(64).fill(7);
const digestOf = { SHA_256: 32, SHA_384: 48, SHA_512: 64 };

const out = openSync(results, "w");
for (const { path, publicKey, spec, peer, algorithms = [], ciphertext, oaep, wrapped } of keys) {
  const key = keyFrom(path);
  if ((await workers.publicKeyOf(spec, key)) === null) throw new Error(`${spec} is not sound`);
  for (let round = 0; round < 8; round += 1) {
    for (const [algorithm, kind] of algorithms) {
      const digest = message.subarray(0, digestOf[algorithm.slice(-7)] ?? 64);
      await Promise.all([
        workers.sign(spec, key, algorithm, kind, kind === "DIGEST" ? digest : message),
        workers.sign(spec, key, algorithm, kind, kind === "DIGEST" ? digest : message),
      ]);
    }
  }
  if (peer) hide(out, await workers.agree(spec, key, load(peer)));
  if (ciphertext) hide(out, await workers.decapsulate(spec, key, load(ciphertext)));
  if (spec.startsWith("ML_KEM")) {
    const encapsulated = await workers.encapsulate(spec, load(publicKey));
    hide(out, encapsulated.sharedSecret);
  }
  if (oaep) hide(out, await workers.decrypt(key, "RSAES_OAEP_SHA_256", load(oaep)));
  if (wrapped) hide(out, await workers.unwrapImport(key, "RSA_AES_KEY_WRAP_SHA_256", load(wrapped)));
}
for (const spec of generated) {
  const { privateKey } = await workers.generate(spec);
  hide(out, privateKey);
}
closeSync(out);

const shown = (text) => writeSync(1, `${text}\n`);
const nextLine = () => new Promise((resolve) => process.stdin.once("data", resolve));
shown("worked");
await nextLine();
await workers.clear();
for (let round = 0; round < 3; round += 1) {
  globalThis.gc();
  await new Promise((resolve) => setImmediate(resolve));
}
shown("cleared");
await nextLine();
process.exit(0);
