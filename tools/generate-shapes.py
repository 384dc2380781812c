#!/usr/bin/env python3
"""Writes src/services/<name>/shapes.generated.ts from the service models that botocore carries.

    pip install botocore==1.43.11
    python3 tools/generate-shapes.py            # all services
    python3 tools/generate-shapes.py kms iam    # some of them

The output is committed, so that neither a build nor a server needs Python. Only what a server needs is kept: names,
types, members in botocore's order, required, min, max, pattern, enum and a few traits; no documentation. What botocore
lacks and the newest clients have is topped up from SUPPLEMENT below; tools/shapes.test.ts holds the result against the
installed @aws-sdk clients. The output is not formatted further: a shape stands on one line, so that a diff shows shapes.
"""

import json
import pathlib
import sys

import botocore
import botocore.loaders

BOTOCORE_VERSION = "1.43.11"
ROOT = pathlib.Path(__file__).resolve().parent.parent

IAM_OPERATIONS = """
CreateUser GetUser UpdateUser DeleteUser ListUsers TagUser UntagUser ListUserTags
CreateAccessKey DeleteAccessKey UpdateAccessKey ListAccessKeys GetAccessKeyLastUsed
PutUserPolicy GetUserPolicy DeleteUserPolicy ListUserPolicies
CreatePolicy GetPolicy DeletePolicy ListPolicies
CreatePolicyVersion GetPolicyVersion DeletePolicyVersion ListPolicyVersions SetDefaultPolicyVersion
AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies ListEntitiesForPolicy
TagPolicy UntagPolicy ListPolicyTags
GetAccountSummary GetAccountAuthorizationDetails
PutUserPermissionsBoundary DeleteUserPermissionsBoundary
ListAccountAliases CreateAccountAlias DeleteAccountAlias
CreateGroup GetGroup UpdateGroup DeleteGroup ListGroups AddUserToGroup RemoveUserFromGroup ListGroupsForUser
PutGroupPolicy GetGroupPolicy DeleteGroupPolicy ListGroupPolicies
AttachGroupPolicy DetachGroupPolicy ListAttachedGroupPolicies
CreateRole GetRole UpdateRole UpdateRoleDescription DeleteRole ListRoles UpdateAssumeRolePolicy
TagRole UntagRole ListRoleTags PutRolePermissionsBoundary DeleteRolePermissionsBoundary
PutRolePolicy GetRolePolicy DeleteRolePolicy ListRolePolicies
AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies
CreateInstanceProfile GetInstanceProfile DeleteInstanceProfile ListInstanceProfiles ListInstanceProfilesForRole
AddRoleToInstanceProfile RemoveRoleFromInstanceProfile
TagInstanceProfile UntagInstanceProfile ListInstanceProfileTags
CreateOpenIDConnectProvider GetOpenIDConnectProvider DeleteOpenIDConnectProvider ListOpenIDConnectProviders
AddClientIDToOpenIDConnectProvider RemoveClientIDFromOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint
TagOpenIDConnectProvider UntagOpenIDConnectProvider ListOpenIDConnectProviderTags
GenerateCredentialReport GetCredentialReport
SimulateCustomPolicy SimulatePrincipalPolicy GetContextKeysForCustomPolicy GetContextKeysForPrincipalPolicy
GetLoginProfile GetAccountPasswordPolicy ListMFADevices ListVirtualMFADevices ListSSHPublicKeys ListSigningCertificates
ListServiceSpecificCredentials ListSAMLProviders ListServerCertificates
""".split()

ORGANIZATIONS_OPERATIONS = """
CreateOrganization DescribeOrganization
CreateAccount DescribeCreateAccountStatus ListCreateAccountStatus
DescribeAccount ListAccounts ListAccountsForParent MoveAccount CloseAccount
ListRoots ListParents ListChildren
CreateOrganizationalUnit DescribeOrganizationalUnit UpdateOrganizationalUnit DeleteOrganizationalUnit
ListOrganizationalUnitsForParent
EnablePolicyType DisablePolicyType
CreatePolicy DescribePolicy UpdatePolicy DeletePolicy ListPolicies AttachPolicy DetachPolicy
ListPoliciesForTarget ListTargetsForPolicy
TagResource UntagResource ListTagsForResource
ListAWSServiceAccessForOrganization ListDelegatedAdministrators ListHandshakesForOrganization ListHandshakesForAccount
""".split()

SERVICE_QUOTAS_OPERATIONS = """
ListServices ListServiceQuotas GetServiceQuota ListAWSDefaultServiceQuotas GetAWSDefaultServiceQuota
RequestServiceQuotaIncrease GetRequestedServiceQuotaChange
ListRequestedServiceQuotaChangeHistory ListRequestedServiceQuotaChangeHistoryByQuota
""".split()

# Service -> operations to take; None takes all.
SERVICES = {
    "kms": None,
    "kinesis": None,
    "iam": IAM_OPERATIONS,
    "sts": None,
    "organizations": ORGANIZATIONS_OPERATIONS,
    "cloudtrail": ["LookupEvents"],
    "servicequotas": SERVICE_QUOTAS_OPERATIONS,
}

# How botocore calls a model, where that is not our name of the service (which is its signing name).
BOTOCORE_NAME = {"servicequotas": "service-quotas"}

# Shapes that must never be echoed although the model does not say so: record contents, what routes them, web identity tokens.
SENSITIVE = {
    "kinesis": ["Data", "PartitionKey", "HashKey"],
    "sts": ["clientTokenType"],
}

# The botocore prefix of CloudTrail is the long form; the short one is its last dotted part (see protocol/route.ts).
TARGET_PREFIX = {"cloudtrail": "CloudTrail_20131101"}

EVENT_SOURCE = {name: f"{name}.amazonaws.com" for name in SERVICES}

# KMS answers 400 where its model says 404, 409 or 412 (recorded); these two are the exceptions that are not client errors.
ERROR_STATUS = {"kms": {"DependencyTimeoutException": 503, "KeyUnavailableException": 500, "KMSInternalException": 500}}

ML_KEM = ["ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"]
CRYPTO_ERRORS = """DependencyTimeoutException DisabledException DryRunOperationException InvalidGrantTokenException
InvalidKeyUsageException KMSInternalException KMSInvalidStateException KeyUnavailableException NotFoundException""".split()

# What @aws-sdk/client-kms 3.1162.0 and @aws-sdk/client-kinesis 3.1143.0 have beyond botocore. Members are
# (name, shape); they are appended in this order. "optional" lifts a member out of `required`.
SUPPLEMENT = {
    "kms": {
        "shapes": {
            "EncapsulationAlgorithmSpec": {"type": "string", "enum": ["ML_KEM"]},
            "EncapsulationAlgorithmSpecList": {"type": "list", "member": {"shape": "EncapsulationAlgorithmSpec"}},
            # Not in any public model; a service principal is a host name (`x.amazonaws.com`).
            "ServicePrincipalType": {"type": "string", "min": 1, "max": 256, "pattern": "^[\\w.-]+$"},
            "EncapsulateRequest": {
                "type": "structure",
                "required": ["KeyId", "EncapsulationAlgorithm"],
                "members": [
                    ("KeyId", "KeyIdType"),
                    ("EncapsulationAlgorithm", "EncapsulationAlgorithmSpec"),
                    ("GrantTokens", "GrantTokenList"),
                    ("DryRun", "NullableBooleanType"),
                ],
            },
            "EncapsulateResponse": {
                "type": "structure",
                "members": [
                    ("KeyId", "KeyIdType"),
                    ("SharedSecret", "PlaintextType"),
                    ("SharedSecretCiphertextBlob", "CiphertextType"),
                    ("EncapsulationAlgorithm", "EncapsulationAlgorithmSpec"),
                ],
            },
            "DecapsulateRequest": {
                "type": "structure",
                "required": ["KeyId", "SharedSecretCiphertextBlob", "EncapsulationAlgorithm"],
                "members": [
                    ("KeyId", "KeyIdType"),
                    ("SharedSecretCiphertextBlob", "CiphertextType"),
                    ("EncapsulationAlgorithm", "EncapsulationAlgorithmSpec"),
                    ("GrantTokens", "GrantTokenList"),
                    ("DryRun", "NullableBooleanType"),
                ],
            },
            "DecapsulateResponse": {
                "type": "structure",
                "members": [
                    ("KeyId", "KeyIdType"),
                    ("SharedSecret", "PlaintextType"),
                    ("EncapsulationAlgorithm", "EncapsulationAlgorithmSpec"),
                ],
            },
        },
        "operations": {
            "Encapsulate": ("EncapsulateRequest", "EncapsulateResponse", CRYPTO_ERRORS),
            "Decapsulate": (
                "DecapsulateRequest",
                "DecapsulateResponse",
                [*CRYPTO_ERRORS, "InvalidCiphertextException"],
            ),
        },
        "members": {
            "CreateGrantRequest": [
                ("GranteeServicePrincipal", "ServicePrincipalType"),
                ("RetiringServicePrincipal", "ServicePrincipalType"),
            ],
            "GetPublicKeyResponse": [("EncapsulationAlgorithms", "EncapsulationAlgorithmSpecList")],
            "GrantConstraints": [("SourceArn", "ArnType")],
            "GrantListEntry": [
                ("GranteeServicePrincipal", "ServicePrincipalType"),
                ("RetiringServicePrincipal", "ServicePrincipalType"),
            ],
            "KeyMetadata": [("EncapsulationAlgorithms", "EncapsulationAlgorithmSpecList")],
            "ListGrantsRequest": [("GranteeServicePrincipal", "ServicePrincipalType")],
            "ListRetirableGrantsRequest": [("RetiringServicePrincipal", "ServicePrincipalType")],
        },
        "optional": {"CreateGrantRequest": ["GranteePrincipal"], "ListRetirableGrantsRequest": ["RetiringPrincipal"]},
        "enums": {
            "KeySpec": ML_KEM,
            "DataKeyPairSpec": ML_KEM,
            "KeyUsageType": ["ENCAPSULATE_DECAPSULATE"],
            "GrantOperation": ["Encapsulate", "Decapsulate"],
            "KeyLastUsageTrackingOperation": ["Encapsulate", "Decapsulate"],
        },
        # As KMS lists them in its answers (recorded), where that is not the model's order.
        "enum_order": {"MacAlgorithmSpec": ["HMAC_SHA_384", "HMAC_SHA_256", "HMAC_SHA_224", "HMAC_SHA_512"]},
    },
    "kinesis": {
        "shapes": {
            "NullableBoolean": {"type": "boolean"},
            "DryRunOperationException": {
                "type": "structure",
                "exception": True,
                "members": [("message", "ErrorMessage")],
            },
            "RecordDistributionStrategy": {"type": "string", "enum": ["AUTO", "USER_PARTITION_KEY"]},
            "UpdateStreamRecordDistributionStrategyInput": {
                "type": "structure",
                "required": ["StreamARN", "RecordDistributionStrategy"],
                "members": [
                    ("StreamARN", "StreamARN"),
                    ("StreamId", "StreamId"),
                    ("RecordDistributionStrategy", "RecordDistributionStrategy"),
                ],
            },
        },
        "members": {
            **{
                name: [("DryRun", "NullableBoolean")]
                for name in [
                    "GetRecordsInput",
                    "GetShardIteratorInput",
                    "PutRecordInput",
                    "PutRecordsInput",
                    "SubscribeToShardInput",
                ]
            },
            "CreateStreamInput": [("RecordDistributionStrategy", "RecordDistributionStrategy")],
            "StreamDescriptionSummary": [("RecordDistributionStrategy", "RecordDistributionStrategy")],
        },
        # Streams that distribute records by themselves take records without a partition key.
        "optional": {name: ["PartitionKey"] for name in ["PutRecordInput", "PutRecordsRequestEntry", "Record"]},
        "operations": {
            "UpdateStreamRecordDistributionStrategy": (
                "UpdateStreamRecordDistributionStrategyInput",
                None,
                """AccessDeniedException InvalidArgumentException LimitExceededException ResourceInUseException
                ResourceNotFoundException ValidationException""".split(),
            ),
        },
        "errors": {
            name: ["DryRunOperationException"]
            for name in ["GetRecords", "GetShardIterator", "PutRecord", "PutRecords", "SubscribeToShard"]
        },
    },
}


def supplement(name, service):
    """Adds the SUPPLEMENT of a service to botocore's model, in place. A clash means that botocore has caught up."""
    extra = SUPPLEMENT.get(name, {})
    shapes, operations = service["shapes"], service["operations"]
    for shape, body in extra.get("shapes", {}).items():
        assert shape not in shapes, f"botocore now has {shape}: drop it from SUPPLEMENT"
        members = {member: {"shape": target} for member, target in body.get("members", [])}
        shapes[shape] = {**body, "members": members} if body["type"] == "structure" else body
    for shape, members in extra.get("members", {}).items():
        for member, target in members:
            assert member not in shapes[shape]["members"], f"botocore now has {shape}.{member}"
            shapes[shape]["members"][member] = {"shape": target}
    for shape, members in extra.get("optional", {}).items():
        shapes[shape]["required"] = [member for member in shapes[shape]["required"] if member not in members]
    for shape, values in extra.get("enums", {}).items():
        shapes[shape]["enum"] += [value for value in values if value not in shapes[shape]["enum"]]
    for shape, values in extra.get("enum_order", {}).items():
        assert sorted(values) == sorted(shapes[shape]["enum"]), f"{shape} has other values now"
        shapes[shape]["enum"] = values
    for operation, (request, response, errors) in extra.get("operations", {}).items():
        assert operation not in operations, f"botocore now has {operation}"
        operations[operation] = {
            "name": operation,
            "input": {"shape": request},
            **({} if response is None else {"output": {"shape": response}}),
            "errors": [{"shape": error} for error in errors],
        }
    for operation, errors in extra.get("errors", {}).items():
        operations[operation]["errors"] += [{"shape": error} for error in errors]


def targets(shape):
    """The shapes that a shape names."""
    yield from (member["shape"] for member in shape.get("members", {}).values())
    yield from (shape[part]["shape"] for part in ("member", "key", "value") if part in shape)


def reach(shapes, roots):
    seen, queue = set(), list(roots)
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue += targets(shapes[name])
    return seen


def literal(value):
    return json.dumps(value, ensure_ascii=True)


def identifier(name):
    return name if name.isidentifier() else literal(name)


def fields(pairs):
    return "{ " + ", ".join(f"{identifier(key)}: {value}" for key, value in pairs) + " }" if pairs else "{}"


def table_row(service, name, shape):
    kind = shape["type"]
    pairs = [("type", literal(kind))]
    if kind == "structure":
        members = shape["members"]
        pairs.append(("members", fields([(member, literal(body["shape"])) for member, body in members.items()])))
        if shape.get("required"):
            pairs.append(("required", literal(shape["required"])))
        renamed = [(m, literal(b["locationName"])) for m, b in members.items() if b.get("locationName", m) != m]
        if renamed:
            pairs.append(("wireNames", fields(renamed)))
        if shape.get("eventstream"):
            pairs.append(("eventStream", "true"))
        if shape.get("exception"):
            error = shape.get("error", {})
            status = ERROR_STATUS.get(service, {}).get(name, error.get("httpStatusCode", 500 if shape.get("fault") else 400))
            if error.get("code"):
                pairs.append(("errorCode", literal(error["code"])))
            pairs.append(("errorStatus", str(status)))
    if kind == "list":
        pairs.append(("member", literal(shape["member"]["shape"])))
        if shape["member"].get("locationName"):
            pairs.append(("memberName", literal(shape["member"]["locationName"])))
        if shape.get("flattened"):
            pairs.append(("flattened", "true"))
    if kind == "map":
        pairs += [(part, literal(shape[part]["shape"])) for part in ("key", "value")]
    pairs += [(part, literal(shape[part])) for part in ("min", "max", "pattern", "enum") if part in shape]
    if shape.get("sensitive") or name in SENSITIVE.get(service, []):
        pairs.append(("sensitive", "true"))
    return f"    {identifier(name)}: {fields(pairs)},"


def type_of(shapes, name):
    """The TypeScript type of a value of this shape, as handlers see it."""
    shape = shapes[name]
    kind = shape["type"]
    if kind == "structure":
        return f"AsyncIterable<{type_name(name)}>" if shape.get("eventstream") else type_name(name)
    if kind == "string":
        return type_name(name) if "enum" in shape else "string"
    if kind == "list":
        element = type_of(shapes, shape["member"]["shape"])
        return f"readonly {element}[]"
    if kind == "map":
        return f"{{ readonly [key: string]: {type_of(shapes, shape['value']['shape'])} }}"
    return {"blob": "Uint8Array", "boolean": "boolean"}.get(kind, "number")


def type_name(name):
    return name[0].upper() + name[1:]


def type_declaration(shapes, name):
    shape = shapes[name]
    if shape["type"] == "string" and "enum" in shape:
        return f"export type {type_name(name)} = " + " | ".join(literal(value) for value in shape["enum"]) + ";"
    if shape["type"] != "structure":
        return None
    required = set(shape.get("required", []))
    lines = [
        f"  readonly {identifier(member)}{'' if member in required else '?'}: {type_of(shapes, body['shape'])}"
        + ("" if member in required else " | undefined")
        + ";"
        for member, body in shape["members"].items()
    ]
    if not lines:
        return f"export type {type_name(name)} = Nothing;"
    return "\n".join([f"export interface {type_name(name)} {{", *lines, "}"])


def operation_row(name, operation):
    pairs = [(side, literal(operation[side]["shape"])) for side in ("input", "output") if side in operation]
    pairs.append(("errors", literal([error["shape"] for error in operation.get("errors", [])])))
    wrapper = operation.get("output", {}).get("resultWrapper")
    if wrapper:
        pairs.append(("resultWrapper", literal(wrapper)))
    return f"    {name}: {fields(pairs)},"


def generate(name):
    service = botocore.loaders.Loader().load_service_model(BOTOCORE_NAME.get(name, name), "service-2")
    supplement(name, service)
    shapes, metadata = service["shapes"], service["metadata"]
    chosen = SERVICES[name] or sorted(service["operations"])
    operations = {operation: service["operations"][operation] for operation in sorted(chosen)}

    # The others by name alone: a call of one is refused as not served, not as unknown.
    named_only = sorted(set(service["operations"]) - set(operations))

    roots, errors = [], []
    for operation in operations.values():
        roots += [operation[side]["shape"] for side in ("input", "output") if side in operation]
        errors += [error["shape"] for error in operation.get("errors", [])]
    kept = sorted(reach(shapes, roots + errors))

    protocol = "awsQuery" if metadata["protocol"] == "query" else "awsJson" + metadata["jsonVersion"]
    head = [
        ("name", name),
        ("protocol", protocol),
        ("targetPrefix", TARGET_PREFIX.get(name, metadata.get("targetPrefix", ""))),
        ("apiVersion", metadata["apiVersion"]),
        ("signingName", metadata.get("signingName", metadata["endpointPrefix"])),
        ("eventSource", EVENT_SOURCE[name]),
        ("xmlNamespace", metadata.get("xmlNamespace", "")),
    ]
    side = lambda operation, which: type_name(operation[which]["shape"]) if which in operation else "Nothing"
    lines = [
        f"// Generated by tools/generate-shapes.py from botocore {BOTOCORE_VERSION}. Do not edit: change the script and run it.",
        'import type { ServiceModel } from "../../protocol/model.ts";',
        "",
        "export const model: ServiceModel = {",
        *[f"  {key}: {literal(value)}," for key, value in head],
        "  operations: {",
        *[operation_row(operation, body) for operation, body in operations.items()],
        *[f"    {operation}: {fields([('errors', '[]')])}," for operation in named_only],
        "  },",
        "  shapes: {",
        *[table_row(name, shape, shapes[shape]) for shape in kept],
        "  },",
        "};",
        "",
        "/** An operation without input or output. */",
        "export type Nothing = { readonly [member: string]: never };",
        "",
        "/** Wire name to the types of its input and output. */",
        "export interface Operations {",
        *[
            f"  {operation}: {{ input: {side(body, 'input')}; output: {side(body, 'output')} }};"
            for operation, body in operations.items()
        ],
        "}",
        "",
    ]
    for shape in sorted(reach(shapes, roots)):
        declaration = type_declaration(shapes, shape)
        if declaration:
            lines += [declaration, ""]
    path = ROOT / "src" / "services" / name / "shapes.generated.ts"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))
    return path


def main():
    if botocore.__version__ != BOTOCORE_VERSION:
        sys.exit(f"needs botocore {BOTOCORE_VERSION}, found {botocore.__version__}")
    for name in sys.argv[1:] or SERVICES:
        print(generate(name).relative_to(ROOT))


if __name__ == "__main__":
    main()
