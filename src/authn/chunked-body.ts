import { hash, timingSafeEqual } from "node:crypto";
import { ServiceError } from "../base/errors.ts";
import {
  decodedLengthMismatch,
  incompleteBody,
  invalidChunkSize,
  malformedChunk,
  malformedTrailer,
} from "./chunked-errors.ts";
import type { StreamingDeclaration } from "./streaming-declaration.ts";

/**
 * Bodies in the transfer coding `aws-chunked` (Amazon S3 API Reference, "Signature Calculations for the Authorization
 * Header: Transferring Payload in Multiple Chunks", and the same "... Including Trailing Headers"). Each chunk is signed over the
 * signature before it, the first over that of the request's headers:
 *
 *     10000;chunk-signature=<64 hex>CRLF <65536 bytes>CRLF
 *     0;chunk-signature=<64 hex>CRLF
 *     x-amz-checksum-crc32c:sOO8/Q==CRLF x-amz-trailer-signature:<64 hex>CRLF     (with a trailer only)
 *     CRLF
 *
 * Nothing but these bytes is read: what two readers could take for two different bodies is refused.
 */

/** A signed chunk is held back until its signature was checked. The SDKs send 64 to 128 KiB. */
const SIGNED_CHUNK_BYTES_MAX = 1_048_576;

/** "Only the last chunk is allowed to have a size less than 8192 bytes." */
const CHUNK_BYTES_MIN = 8192;

/** The longest: `x-amz-checksum-` with a name, and a SHA-512 in Base64. The line of a chunk is shorter. */
const LINE_BYTES_MAX = 256;

const CHUNK_MARK = "AWS4-HMAC-SHA256-PAYLOAD";
const TRAILER_MARK = "AWS4-HMAC-SHA256-TRAILER";
const EMPTY_HASH = hash("sha256", "", "hex");

/** Both cases of letters: the .NET SDK writes sizes in upper case. 12 digits are far more than an object may have. */
const SIGNED_CHUNK = /^(0|[1-9A-Fa-f][0-9A-Fa-f]{0,11});chunk-signature=([0-9a-f]{64})$/;
const UNSIGNED_CHUNK = /^(0|[1-9A-Fa-f][0-9A-Fa-f]{0,11})$/;
const TRAILER = /^([a-z0-9-]+):([A-Za-z0-9+/]+={0,2})$/;
const TRAILER_SIGNATURE = /^x-amz-trailer-signature:([0-9a-f]{64})$/;

const CR = 0x0d;
const LF = 0x0a;

/** What the signatures of a body hang on: those of its headers, once they were verified. */
export interface ChunkSigner {
  /** The signature of the headers. */
  readonly seedSignature: string;
  /** `20130524T000000Z`, of the headers. */
  readonly time: string;
  /** `20130524/us-east-1/s3/aws4_request`. */
  readonly scope: string;
  /** HMAC-SHA256 under the signing key of the scope, in lower-case hex. */
  readonly sign: (stringToSign: string) => string;
}

export interface ChunkedBodyOptions {
  readonly declaration: StreamingDeclaration;
  readonly signer: ChunkSigner;
  /** The largest signed chunk taken, and so the memory that one body holds; default 1 MiB. */
  readonly signedChunkBytesMax?: number;
}

/** Reads one body, in pieces of any size. Once it has thrown, it throws the same again whatever comes. */
export interface ChunkedBody {
  /**
   * The data that these bytes completed, in order; the pieces may share memory with `bytes`. Data of signed chunks has been
   * verified. Data of unsigned ones is as it came: only the checksum in the trailer can tell whether it was changed, and
   * comparing it is left to the caller.
   */
  push(bytes: Uint8Array): readonly Uint8Array[];
  /**
   * To be called when the last byte was pushed, before the data counts as received: throws unless the body was whole. Gives the
   * declared trailer, null when none was.
   */
  end(): { readonly name: string; readonly value: string } | null;
}

export function createChunkedBody(options: ChunkedBodyOptions): ChunkedBody {
  const reader = new ChunkReader(options);
  let failure: Error | null = null;
  const guarded = <Result>(read: () => Result): Result => {
    if (failure !== null) throw failure;
    try {
      return read();
    } catch (error) {
      failure = error instanceof Error ? error : new Error("the body could not be read", { cause: error });
      throw failure;
    }
  };
  return {
    push: (bytes) => guarded(() => reader.push(bytes)),
    end: () => guarded(() => reader.end()),
  };
}

type Expecting = "chunk" | "data" | "dataEnd" | "trailer" | "trailerSignature" | "lastLine" | "nothing";

class ChunkReader {
  readonly #declaration: StreamingDeclaration;
  readonly #signer: ChunkSigner;
  readonly #chunkBytesMax: number;
  readonly #line: Buffer = Buffer.allocUnsafeSlow(LINE_BYTES_MAX);
  #lineBytes = 0;
  #expecting: Expecting = "chunk";
  #previousSignature: string;
  #chunkSignature = "";
  /** Of the chunk being read: those to come, and (signed only) those that came, which grow with what really arrives. */
  #missingBytes = 0;
  #chunk: Buffer = Buffer.alloc(0);
  #chunkBytes = 0;
  #decodedBytes = 0;
  #lastChunkBytes = CHUNK_BYTES_MIN;
  #trailer: { readonly name: string; readonly value: string } | null = null;

  constructor({ declaration, signer, signedChunkBytesMax = SIGNED_CHUNK_BYTES_MAX }: ChunkedBodyOptions) {
    this.#declaration = declaration;
    this.#signer = signer;
    this.#previousSignature = signer.seedSignature;
    this.#chunkBytesMax = declaration.signed ? signedChunkBytesMax : declaration.decodedBytes;
  }

  push(bytes: Uint8Array): readonly Uint8Array[] {
    const released: Uint8Array[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#expecting === "data") {
        const piece = bytes.subarray(at, at + this.#missingBytes);
        at += piece.length;
        if (this.#declaration.signed) this.#keep(piece);
        else released.push(piece);
        this.#missingBytes -= piece.length;
        if (this.#missingBytes === 0) this.#expecting = "dataEnd";
        if (this.#missingBytes === 0 && this.#declaration.signed) released.push(this.#verifiedChunk());
        continue;
      }
      if (this.#expecting === "nothing") throw malformedChunk();
      const line = this.#lineWith(bytes[at] ?? 0);
      at += 1;
      if (line !== null) this.#readLine(line);
    }
    return released;
  }

  end(): { readonly name: string; readonly value: string } | null {
    if (this.#expecting !== "nothing") throw incompleteBody();
    return this.#trailer;
  }

  /** The line that this byte ends, without its CRLF; null: it goes on. */
  #lineWith(byte: number): string | null {
    if (this.#lineBytes === LINE_BYTES_MAX) throw malformedChunk();
    this.#line[this.#lineBytes] = byte;
    this.#lineBytes += 1;
    if (byte !== LF) return null;
    const textBytes = this.#lineBytes - 2;
    if (textBytes < 0 || this.#line[textBytes] !== CR) throw malformedChunk();
    this.#lineBytes = 0;
    return this.#line.toString("latin1", 0, textBytes);
  }

  #readLine(line: string): void {
    if (this.#expecting === "chunk") this.#beginChunk(line);
    else if (this.#expecting === "dataEnd") {
      if (line !== "") throw malformedChunk();
      this.#expecting = "chunk";
    } else if (this.#expecting === "trailer") this.#readTrailer(line);
    else if (this.#expecting === "trailerSignature") this.#readTrailerSignature(line);
    else {
      if (line !== "") throw this.#declaration.trailerName === null ? malformedChunk() : malformedTrailer();
      this.#expecting = "nothing";
    }
  }

  /** A size is believed only as far as what was declared and what is allowed reach; nothing is allocated for it. */
  #beginChunk(line: string): void {
    const { signed, decodedBytes, trailerName } = this.#declaration;
    const [, digits = "", signature = ""] = (signed ? SIGNED_CHUNK : UNSIGNED_CHUNK).exec(line) ?? [];
    if (digits === "") throw malformedChunk();
    const sizeBytes = Number.parseInt(digits, 16);
    this.#chunkSignature = signature;
    if (sizeBytes === 0) {
      if (this.#decodedBytes !== decodedBytes) throw decodedLengthMismatch();
      if (signed) this.#verify(CHUNK_MARK, [EMPTY_HASH, EMPTY_HASH], signature);
      this.#expecting = trailerName === null ? "lastLine" : "trailer";
      return;
    }
    if (sizeBytes > decodedBytes - this.#decodedBytes) throw decodedLengthMismatch();
    if (sizeBytes > this.#chunkBytesMax || this.#lastChunkBytes < CHUNK_BYTES_MIN) throw invalidChunkSize();
    this.#lastChunkBytes = sizeBytes;
    this.#decodedBytes += sizeBytes;
    this.#missingBytes = sizeBytes;
    this.#expecting = "data";
  }

  #keep(piece: Uint8Array): void {
    const neededBytes = this.#chunkBytes + piece.length;
    if (neededBytes > this.#chunk.length) {
      const wholeBytes = this.#chunkBytes + this.#missingBytes;
      const grown = Buffer.allocUnsafeSlow(Math.min(wholeBytes, Math.max(2 * this.#chunk.length, neededBytes)));
      this.#chunk.copy(grown, 0, 0, this.#chunkBytes);
      this.#chunk = grown;
    }
    this.#chunk.set(piece, this.#chunkBytes);
    this.#chunkBytes = neededBytes;
  }

  #verifiedChunk(): Uint8Array {
    const data = this.#chunk.subarray(0, this.#chunkBytes);
    this.#chunk = Buffer.alloc(0);
    this.#chunkBytes = 0;
    this.#verify(CHUNK_MARK, [EMPTY_HASH, hash("sha256", data, "hex")], this.#chunkSignature);
    return data;
  }

  /** Exactly the one that the signed header `x-amz-trailer` announced. */
  #readTrailer(line: string): void {
    const [, name, value] = TRAILER.exec(line) ?? [];
    if (name === undefined || value === undefined || name !== this.#declaration.trailerName) throw malformedTrailer();
    this.#trailer = { name, value };
    this.#expecting = this.#declaration.signed ? "trailerSignature" : "lastLine";
  }

  #readTrailerSignature(line: string): void {
    const signature = TRAILER_SIGNATURE.exec(line)?.[1];
    if (signature === undefined || this.#trailer === null) throw malformedTrailer();
    const { name, value } = this.#trailer;
    this.#verify(TRAILER_MARK, [hash("sha256", `${name}:${value}\n`, "hex")], signature);
    this.#expecting = "lastLine";
  }

  #verify(mark: string, hashes: readonly string[], signature: string): void {
    const { time, scope, sign } = this.#signer;
    const stringToSign = [mark, time, scope, this.#previousSignature, ...hashes].join("\n");
    if (!timingSafeEqual(Buffer.from(sign(stringToSign), "latin1"), Buffer.from(signature, "latin1"))) {
      throw new ServiceError(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
        { status: 403 },
      );
    }
    this.#previousSignature = signature;
  }
}
