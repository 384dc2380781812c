import type { SdkRequest } from "./signer.ts";

/**
 * The cases of AWS's public Signature Version 4 test suite (https://github.com/awslabs/aws-c-auth,
 * tests/aws-signing-test-suite/v4), as requests for the SDK's signer. They were made for `service` in us-east-1 at
 * 2015-08-30 12:36:00 UTC.
 */
export interface SuiteCase extends SdkRequest {
  readonly name: string;
  /** The suite's own signature in the Authorization header, where it was at hand. */
  readonly published?: string;
  /** The header lines that arrive, where they differ from what the SDK's signer takes: one value for each name. */
  readonly lines?: readonly (readonly [name: string, value: string])[];
  readonly sessionToken?: string;
}

export const SUITE_TIME_MS: number = Date.UTC(2015, 7, 30, 12, 36);
export const SUITE_HOST = "example.amazonaws.com";

const VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
const SLASHES = "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84";
const UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const FORM = new TextEncoder().encode("Param1=value1");
const TOKEN_OF_STS =
  "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/" +
  "qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38" +
  "xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

const get = (name: string, path: string, published?: string): SuiteCase => ({
  name,
  method: "GET",
  path,
  ...(published === undefined ? {} : { published }),
});
const query = (name: string, parameters: Record<string, string | string[]>, published?: string): SuiteCase => ({
  ...get(name, "/", published),
  query: parameters,
});
const lines = (name: string, values: readonly string[], published?: string): SuiteCase => ({
  ...get(name, "/", published),
  headers: { "My-Header1": values.map((value) => value.trim()).join(",") },
  lines: values.map((value) => ["My-Header1", value] as const),
});

const GET_CASES: readonly SuiteCase[] = [
  get("get-vanilla", "/", VANILLA),
  lines(
    "get-header-key-duplicate",
    ["value2", "value2", "value1"],
    "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
  ),
  lines(
    "get-header-value-order",
    ["value4", "value1", "value3", "value2"],
    "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
  ),
  // The suite folds the value over three lines, which HTTP forbids by now (RFC 9112, 5.2): sent as three, and as one.
  lines(
    "get-header-value-multiline",
    ["value1", "value2", "value3"],
    "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790",
  ),
  lines("get-header-value-multiline, unfolded", ["value1  value2     value3"]),
  {
    ...get("get-header-value-trim", "/", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    headers: { "My-Header1": " value1", "My-Header2": ' "a   b   c"' },
  },
  get("get-unreserved", `/${UNRESERVED}`, "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
  get("get-utf8", "/\u1234", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
  get("get-utf8, encoded as it has to be", "/%E1%88%B4"),
  query(
    "get-vanilla-empty-query-key",
    { Param1: "value1" },
    "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
  ),
  query("get-vanilla-query", {}, VANILLA),
  query("get-vanilla-query-order-key", { Param2: "value2", Param1: "value1" }),
  query(
    "get-vanilla-query-order-key-case",
    { Param2: "value2", Param1: "value1" },
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  ),
  query("get-vanilla-query-order-value", { Param1: ["value2", "value1"] }),
  query(
    "get-vanilla-query-order-encoded",
    { "Param-3": "Value3", Param: "Value2", "\u1234": "Value1" },
    "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
  ),
  query(
    "get-vanilla-query-unreserved",
    { [UNRESERVED]: UNRESERVED },
    "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
  ),
  query("get-vanilla-query-reserved", { "a b!'()*": "x+y/z=&?#%25", "%": "%2F" }),
  query(
    "get-vanilla-utf8-query",
    { "\u1234": "bar" },
    "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
  ),
  {
    ...get("get-vanilla-with-session-token", "/", "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
    sessionToken: "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
  },
];

const PATH_CASES: readonly SuiteCase[] = [
  get("normalize-path/get-relative", "/example/..", VANILLA),
  get("normalize-path/get-relative-relative", "/example1/example2/../..", VANILLA),
  get("normalize-path/get-slash", "//", VANILLA),
  get("normalize-path/get-slash-dot-slash", "/./", VANILLA),
  get(
    "normalize-path/get-slash-pointless-dot",
    "/./example",
    "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
  ),
  get("normalize-path/get-slashes", "//example//", SLASHES),
  get(
    "normalize-path/get-space",
    "/example space/",
    "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
  ),
  get("normalize-path/get-space, encoded as it has to be", "/example%20space/"),
  get("double-url-encode", "/a%20b/%25/c%2Fd"),
];

const post = (name: string, rest: Omit<SuiteCase, "name" | "method">): SuiteCase => ({ ...rest, name, method: "POST" });

const POST_CASES: readonly SuiteCase[] = [
  post("post-vanilla", { published: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" }),
  post("post-header-key-case", { published: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" }),
  post("post-header-key-sort", {
    headers: { "My-Header1": "value1" },
    published: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
  }),
  post("post-header-value-case", {
    headers: { "My-Header1": "VALUE1" },
    published: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
  }),
  post("post-sts-header-before", {
    sessionToken: TOKEN_OF_STS,
    published: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
  }),
  post("post-vanilla-empty-query-value", { query: { Param1: "" } }),
  post("post-vanilla-query", {
    query: { Param1: "value1" },
    published: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
  }),
  post("post-vanilla-query-nonunreserved", { query: { "@#$%^": "", "+": '/,?><`";:\\|][{}' } }),
  post("post-x-www-form-urlencoded", {
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      "content-length": "13",
      "x-amz-content-sha256": "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
    },
    body: FORM,
    published: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
  }),
  post("post-x-www-form-urlencoded-parameters", {
    headers: {
      "content-type": "application/x-www-form-urlencoded; charset=utf-8",
      "content-length": "13",
      "x-amz-content-sha256": "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
    },
    body: FORM,
    published: "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
  }),
  post("a header value in UTF-8", { headers: { "my-note": "f\u00fcr \u1234" }, body: FORM }),
];

export const SIGNING_SUITE: readonly SuiteCase[] = [...GET_CASES, ...PATH_CASES, ...POST_CASES];

/** The cases named "-unnormalized": how S3 takes paths. The one of a space is signed and sent as S3's clients do it. */
export const OBJECT_PATH_SUITE: readonly SuiteCase[] = [
  get("get-relative-unnormalized", "/example/..", "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282"),
  get(
    "get-relative-relative-unnormalized",
    "/example1/example2/../..",
    "dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b",
  ),
  get("get-slash-unnormalized", "//", "c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e"),
  get("get-slash-dot-slash-unnormalized", "/./", "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145"),
  get(
    "get-slash-pointless-dot-unnormalized",
    "/./example",
    "beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff",
  ),
  get("get-slashes-unnormalized", "//example//", "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"),
  get(
    "get-space-unnormalized",
    "/example%20space/",
    "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
  ),
  get("an object's key with everything in it", "/a%2Bb%25/%C3%BC~/%27%28%29%2A/..%2F"),
];
