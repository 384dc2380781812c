"""The whole story of an encrypted stream with unmodified boto3: run by python-clients.test.ts against a live server.

Takes endpoint, region, credentials and CA bundle from the usual AWS variables. Prints one JSON line when all is well.
"""

import json
import os
import time

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
CONFIG = Config(retries={"total_max_attempts": 1})


def client(service, **credentials):
    # Named here, because versions of boto3 before 1.28 do not read AWS_ENDPOINT_URL.
    return boto3.client(service, endpoint_url=ENDPOINT, config=CONFIG, **credentials)


def refusal(call, **arguments):
    """The code and status of the error that a call fails with."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None, 200


def check(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def wait_until_active(kinesis, name):
    for _ in range(200):
        description = kinesis.describe_stream(StreamName=name)["StreamDescription"]
        if description["StreamStatus"] == "ACTIVE":
            return description
        time.sleep(0.05)
    raise AssertionError(f"{name} did not become ACTIVE")


def read_all(kinesis, name):
    found = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = kinesis.get_records(ShardIterator=iterator)
            found.extend(page["Records"])
            iterator = page.get("NextShardIterator")
            if not page["Records"] and page["MillisBehindLatest"] == 0:
                break
    return found


def main():
    sts, iam, kms, kinesis, trail = (client(name) for name in ("sts", "iam", "kms", "kinesis", "cloudtrail"))
    account = sts.get_caller_identity()["Account"]
    stream = f"boto3-{int(time.time() * 1000)}"

    key = kms.create_key(Description="boto3")["KeyMetadata"]
    check(key["KeyState"], "Enabled")
    kms.create_alias(AliasName=f"alias/{stream}", TargetKeyId=key["KeyId"])

    kinesis.create_stream(StreamName=stream, ShardCount=2)
    check(wait_until_active(kinesis, stream)["EncryptionType"], "NONE")
    written = []

    def put(data):
        written.append(data)
        return kinesis.put_record(StreamName=stream, PartitionKey=f"key-{data}", Data=data)["EncryptionType"]

    check(put(b"before"), "NONE")
    kinesis.start_stream_encryption(StreamName=stream, EncryptionType="KMS", KeyId=f"alias/{stream}")
    check(wait_until_active(kinesis, stream)["EncryptionType"], "KMS")
    check(put(b"sealed \x00\xff"), "KMS")
    batch = kinesis.put_records(
        StreamName=stream, Records=[{"PartitionKey": f"key-{n}", "Data": f"batch {n}".encode()} for n in range(100)]
    )
    check((batch["FailedRecordCount"], batch["EncryptionType"]), (0, "KMS"))
    written.extend(f"batch {n}".encode() for n in range(100))
    records = read_all(kinesis, stream)
    check(sorted(record["Data"] for record in records), sorted(written))
    check({record["EncryptionType"] for record in records}, {"NONE", "KMS"})

    # A user who may use streams but not this key; then under the default key.
    iam.create_user(UserName=stream)
    access = iam.create_access_key(UserName=stream)["AccessKey"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}]}
    iam.put_user_policy(UserName=stream, PolicyName="streams", PolicyDocument=json.dumps(policy))
    check(iam.get_user_policy(UserName=stream, PolicyName="streams")["PolicyDocument"], policy)
    theirs = client(
        "kinesis", aws_access_key_id=access["AccessKeyId"], aws_secret_access_key=access["SecretAccessKey"]
    )
    record = {"StreamName": stream, "PartitionKey": "k", "Data": b"theirs"}
    check(refusal(theirs.put_record, **record), ("KMSAccessDeniedException", 400))
    kinesis.start_stream_encryption(StreamName=stream, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    wait_until_active(kinesis, stream)
    check(theirs.put_record(**record)["EncryptionType"], "KMS")
    written.append(b"theirs")

    # The key is disabled: what it sealed can't be read until it is enabled again.
    kms.disable_key(KeyId=key["KeyId"])
    time.sleep(1)
    check(refusal(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x"), ("DisabledException", 400))
    check(refusal(read_all, kinesis=kinesis, name=stream), ("KMSDisabledException", 400))
    kms.enable_key(KeyId=key["KeyId"])
    check(sorted(record["Data"] for record in read_all(kinesis, stream)), sorted(written))

    kinesis.stop_stream_encryption(StreamName=stream, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    check(wait_until_active(kinesis, stream)["EncryptionType"], "NONE")
    check(put(b"after"), "NONE")

    # KMS itself.
    context = {"purpose": "story"}
    sealed = kms.encrypt(KeyId=f"alias/{stream}", Plaintext=b"plain", EncryptionContext=context)
    check(kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)["Plaintext"], b"plain")
    check(refusal(kms.decrypt, CiphertextBlob=sealed["CiphertextBlob"]), ("InvalidCiphertextException", 400))
    data_key = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
    check(kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"], data_key["Plaintext"])

    events = []
    for page in trail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "StartStreamEncryption"}]
    ):
        events.extend(json.loads(event["CloudTrailEvent"]) for event in page["Events"])
    check(len([event for event in events if event["requestParameters"]["streamName"] == stream]), 2)

    kinesis.delete_stream(StreamName=stream)
    check(refusal(iam.get_user, UserName="absent"), ("NoSuchEntity", 404))
    print(json.dumps({"account": account, "records": len(written), "boto3": boto3.__version__, "botocore": botocore.__version__}))


main()
