"""KMS with unmodified boto3: every operation that its model knows, and their main errors. Run by kms-python.test.ts.

Takes endpoint, region and credentials from the usual AWS variables. Prints one JSON line with the operations it called.
"""

import json
import os
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
OTHER_REGION = os.environ["OTHER_REGION"]
ABSENT = "11111111-2222-4333-8444-555555555555"
MESSAGE = b"message"

called = {}


def client(region=None, **credentials):
    kms = boto3.client(
        "kms",
        endpoint_url=ENDPOINT,
        region_name=region,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        **credentials,
    )
    kms.meta.events.register("after-call.kms.*", note)
    return kms


def note(http_response, model, **_):
    called.setdefault(model.name, set()).add(http_response.status_code)


def check(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def refused(expected, call, **arguments):
    """The call fails with this code and status 400."""
    try:
        call(**arguments)
    except ClientError as error:
        got = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        check((expected, *got), (expected, expected, 400))
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} succeeded, expected {expected}")


def settled(kms, key):
    for _ in range(200):
        if kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] not in ("Creating", "Updating"):
            return
        time.sleep(0.05)
    raise AssertionError(f"{key} did not settle")


def new_key(kms, **arguments):
    return kms.create_key(**arguments)["KeyMetadata"]


def keys_and_names(kms):
    key = new_key(kms, Description="boto3", Tags=[{"TagKey": "a", "TagValue": "1"}])
    check((key["KeyState"], key["KeySpec"], key["MultiRegion"]), ("Enabled", "SYMMETRIC_DEFAULT", False))
    key_id = key["KeyId"]
    listed = [one["KeyId"] for page in kms.get_paginator("list_keys").paginate() for one in page["Keys"]]
    check(key_id in listed, True)
    kms.update_key_description(KeyId=key_id, Description="changed")
    check(kms.describe_key(KeyId=key_id)["KeyMetadata"]["Description"], "changed")
    kms.create_alias(AliasName="alias/boto3", TargetKeyId=key_id)
    refused("AlreadyExistsException", kms.create_alias, AliasName="alias/boto3", TargetKeyId=key_id)
    refused("ValidationException", kms.create_alias, AliasName="boto3", TargetKeyId=key_id)
    kms.update_alias(AliasName="alias/boto3", TargetKeyId=new_key(kms)["KeyId"])
    aliases = [one["AliasName"] for page in kms.get_paginator("list_aliases").paginate() for one in page["Aliases"]]
    check("alias/boto3" in aliases, True)
    kms.delete_alias(AliasName="alias/boto3")
    refused("NotFoundException", kms.delete_alias, AliasName="alias/boto3")
    kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "b", "TagValue": "2"}])
    kms.untag_resource(KeyId=key_id, TagKeys=["a"])
    check(kms.list_resource_tags(KeyId=key_id)["Tags"], [{"TagKey": "b", "TagValue": "2"}])
    refused("TagException", kms.tag_resource, KeyId=key_id, Tags=[{"TagKey": "aws:x", "TagValue": "2"}])
    policy = kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"]
    kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=policy)
    refused("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key_id, PolicyName="default", Policy="{}")
    check(kms.list_key_policies(KeyId=key_id)["PolicyNames"], ["default"])
    kms.disable_key(KeyId=key_id)
    check(refused("DisabledException", kms.encrypt, KeyId=key_id, Plaintext=b"x"), f"{key['Arn']} is disabled.")
    kms.enable_key(KeyId=key_id)
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    message = refused("KMSInvalidStateException", kms.encrypt, KeyId=key_id, Plaintext=b"x")
    check(message, f"{key['Arn']} is pending deletion.")
    kms.cancel_key_deletion(KeyId=key_id)
    refused("KMSInvalidStateException", kms.cancel_key_deletion, KeyId=key_id)
    refused("NotFoundException", kms.describe_key, KeyId=ABSENT)
    refused("InvalidArnException", kms.describe_key, KeyId=f"arn:aws:s3:us-east-1:123456789012:key/{ABSENT}")
    refused("InvalidMarkerException", kms.list_keys, Marker="nonsense!")
    refused("UnsupportedOperationException", kms.create_key, KeySpec="SM2", KeyUsage="SIGN_VERIFY")


def encryption(kms):
    one, two = new_key(kms), new_key(kms)
    context = {"a": "b"}
    sealed = kms.encrypt(KeyId=one["KeyId"], Plaintext=b"plain", EncryptionContext=context)
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
    check((opened["Plaintext"], opened["KeyId"]), (b"plain", one["Arn"]))
    refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=sealed["CiphertextBlob"])
    wrong = {"CiphertextBlob": sealed["CiphertextBlob"], "EncryptionContext": context, "KeyId": two["KeyId"]}
    refused("IncorrectKeyException", kms.decrypt, **wrong)
    moved = kms.re_encrypt(
        CiphertextBlob=sealed["CiphertextBlob"], SourceEncryptionContext=context, DestinationKeyId=two["KeyId"]
    )
    check(kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"], b"plain")
    made = kms.generate_data_key(KeyId=one["KeyId"], KeySpec="AES_256")
    check(kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"], made["Plaintext"])
    refused("DryRunOperationException", kms.generate_data_key, KeyId=one["KeyId"], KeySpec="AES_256", DryRun=True)
    refused("ValidationException", kms.generate_data_key, KeyId=one["KeyId"])
    blind = kms.generate_data_key_without_plaintext(KeyId=one["KeyId"], NumberOfBytes=64)
    check(len(kms.decrypt(CiphertextBlob=blind["CiphertextBlob"])["Plaintext"]), 64)
    pair = kms.generate_data_key_pair(KeyId=one["KeyId"], KeyPairSpec="ECC_NIST_P256")
    private = serialization.load_der_private_key(pair["PrivateKeyPlaintext"], None)
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    check(pair["PublicKey"], public)
    quiet = kms.generate_data_key_pair_without_plaintext(KeyId=one["KeyId"], KeyPairSpec="ECC_NIST_P384")
    check("PrivateKeyPlaintext" in quiet, False)
    check(len(kms.generate_random(NumberOfBytes=77)["Plaintext"]), 77)
    check(refused("ValidationException", kms.generate_random), "NumberOfBytes is required.")
    usage = kms.get_key_last_usage(KeyId=one["KeyId"])
    check(usage["KeyLastUsage"]["Operation"], "GenerateDataKeyPairWithoutPlaintext")


def asymmetric(kms):
    rsa = new_key(kms, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyId"]
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=rsa)["PublicKey"])
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    opened = kms.decrypt(
        KeyId=rsa, CiphertextBlob=public.encrypt(b"outside", oaep), EncryptionAlgorithm="RSAES_OAEP_SHA_256"
    )
    check(opened["Plaintext"], b"outside")
    signing = new_key(kms, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyId"]
    made = kms.sign(KeyId=signing, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")
    digest = hashes.Hash(hashes.SHA256())
    digest.update(MESSAGE)
    prehashed = digest.finalize()
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=signing)["PublicKey"])
    public.verify(made["Signature"], prehashed, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    request = {"KeyId": signing, "SigningAlgorithm": "ECDSA_SHA_256"}
    verified = kms.verify(Message=prehashed, MessageType="DIGEST", Signature=made["Signature"], **request)
    check(verified["SignatureValid"], True)
    refused("KMSInvalidSignatureException", kms.verify, Message=b"other", Signature=made["Signature"], **request)
    refused("InvalidKeyUsageException", kms.encrypt, KeyId=signing, Plaintext=b"x")
    refused("UnsupportedOperationException", kms.enable_key_rotation, KeyId=signing)
    mac_key = new_key(kms, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    mac = {"KeyId": mac_key, "Message": MESSAGE, "MacAlgorithm": "HMAC_SHA_256"}
    made = kms.generate_mac(**mac)["Mac"]
    check(kms.verify_mac(Mac=made, **mac)["MacValid"], True)
    refused("KMSInvalidMacException", kms.verify_mac, Mac=made[::-1], **mac)
    agreement = new_key(kms, KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyId"]
    mine = ec.generate_private_key(ec.SECP256R1())
    peer = mine.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    theirs = serialization.load_der_public_key(kms.get_public_key(KeyId=agreement)["PublicKey"])
    derived = kms.derive_shared_secret(KeyId=agreement, KeyAgreementAlgorithm="ECDH", PublicKey=peer)
    check(derived["SharedSecret"], mine.exchange(ec.ECDH(), theirs))
    bad = {"KeyId": agreement, "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer[:-1]}
    refused("ValidationException", kms.derive_shared_secret, **bad)


def grants(kms, account):
    key = new_key(kms)["KeyId"]
    root = f"arn:aws:iam::{account}:root"
    arguments = {"KeyId": key, "GranteePrincipal": root, "RetiringPrincipal": root, "Operations": ["Decrypt"]}
    one = kms.create_grant(**arguments)
    two = kms.create_grant(Name="second", **arguments)
    check([grant["GrantId"] for grant in kms.list_grants(KeyId=key, GrantId=one["GrantId"])["Grants"]], [one["GrantId"]])
    retirable = kms.list_retirable_grants(RetiringPrincipal=root)["Grants"]
    check({grant["GrantId"] for grant in retirable}, {one["GrantId"], two["GrantId"]})
    kms.retire_grant(GrantToken=one["GrantToken"])
    kms.revoke_grant(KeyId=key, GrantId=two["GrantId"])
    check(kms.list_grants(KeyId=key)["Grants"], [])
    refused("NotFoundException", kms.revoke_grant, KeyId=key, GrantId=two["GrantId"])
    refused("InvalidGrantTokenException", kms.encrypt, KeyId=key, Plaintext=b"x", GrantTokens=["forged"])


def materials(kms):
    key = new_key(kms, Origin="EXTERNAL")["KeyId"]
    refused("KMSInvalidStateException", kms.encrypt, KeyId=key, Plaintext=b"x")
    parameters = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    public = serialization.load_der_public_key(parameters["PublicKey"])
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    request = {"KeyId": key, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    wrapped = public.encrypt(os.urandom(32), oaep)
    refused("InvalidImportTokenException", kms.import_key_material, ImportToken=b"x" * 64, EncryptedKeyMaterial=wrapped, **request)
    kms.import_key_material(ImportToken=parameters["ImportToken"], EncryptedKeyMaterial=wrapped, **request)
    kms.encrypt(KeyId=key, Plaintext=b"x")
    kms.delete_imported_key_material(KeyId=key)
    refused("KMSInvalidStateException", kms.encrypt, KeyId=key, Plaintext=b"x")
    key = new_key(kms)["KeyId"]
    old = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=100)
    check(kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"], 100)
    kms.disable_key_rotation(KeyId=key)
    kms.rotate_key_on_demand(KeyId=key)
    check([one["RotationType"] for one in kms.list_key_rotations(KeyId=key)["Rotations"]], ["ON_DEMAND"])
    check(kms.decrypt(CiphertextBlob=old)["Plaintext"], b"old")
    refused("ValidationException", kms.enable_key_rotation, KeyId=key, RotationPeriodInDays=1)


def multi_region(kms):
    away = client(OTHER_REGION)
    key = new_key(kms, MultiRegion=True)["KeyId"]
    kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
    settled(away, key)
    refused("AlreadyExistsException", kms.replicate_key, KeyId=key, ReplicaRegion=OTHER_REGION)
    sealed = kms.encrypt(KeyId=key, Plaintext=b"here")["CiphertextBlob"]
    check(away.decrypt(KeyId=key, CiphertextBlob=sealed)["Plaintext"], b"here")
    kms.update_primary_region(KeyId=key, PrimaryRegion=OTHER_REGION)
    settled(kms, key)
    settled(away, key)
    configuration = away.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]
    check(configuration["MultiRegionKeyType"], "PRIMARY")


def custom_key_stores(kms):
    store = {"CustomKeyStoreId": "cks-1234567890abcdef0"}
    refused("UnsupportedOperationException", kms.create_custom_key_store, CustomKeyStoreName="store")
    refused("UnsupportedOperationException", kms.describe_custom_key_stores)
    for call in (
        kms.connect_custom_key_store,
        kms.disconnect_custom_key_store,
        kms.update_custom_key_store,
        kms.delete_custom_key_store,
    ):
        refused("UnsupportedOperationException", call, **store)


def main():
    kms = client()
    account = boto3.client("sts", endpoint_url=ENDPOINT).get_caller_identity()["Account"]
    keys_and_names(kms)
    encryption(kms)
    asymmetric(kms)
    grants(kms, account)
    materials(kms)
    multi_region(kms)
    custom_key_stores(kms)
    known = set(kms.meta.service_model.operation_names)
    check(known - set(called), set())
    worked = sorted(name for name, statuses in called.items() if 200 in statuses)
    print(json.dumps({"known": len(known), "worked": len(worked)}))


main()
