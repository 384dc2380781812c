import { ServiceError } from "../base/errors.ts";

/** Refusals of `aws-chunked` bodies, named as S3 names them: the one service of AWS that takes such bodies. */

/** The bytes are not chunks. */
export const malformedChunk = (): ServiceError =>
  new ServiceError("InvalidRequest", "The body is not in the 'aws-chunked' transfer coding that the headers declare.");

export const malformedTrailer = (): ServiceError =>
  new ServiceError(
    "MalformedTrailerError",
    "The request contained trailing data that was not well-formed or did not conform to our published schema.",
  );

export const incompleteBody = (): ServiceError =>
  new ServiceError("IncompleteBody", "The request body terminated unexpectedly");

/** More or fewer bytes than `x-amz-decoded-content-length` said. */
export const decodedLengthMismatch = (): ServiceError =>
  new ServiceError(
    "IncompleteBody",
    "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header",
  );

/** Seen for small chunks; the same name is used for those larger than the server takes. */
export const invalidChunkSize = (): ServiceError =>
  new ServiceError(
    "InvalidChunkSizeError",
    "Only the last chunk is allowed to have a size less than 8192 bytes, and no chunk may be larger than this server takes.",
  );
