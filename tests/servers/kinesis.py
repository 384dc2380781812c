"""Kinesis with unmodified boto3: policies, other accounts, settings and limits of streams. Run by kinesis-python.test.ts."""

import json
import os
import time

from checks import as_user, check, client, refused, report

OTHER = {"AccessKeyId": os.environ["OTHER_KEY_ID"], "SecretAccessKey": os.environ["OTHER_SECRET"]}
OTHER_ACCOUNT = os.environ["OTHER_ACCOUNT"]
SHARD = "shardId-000000000000"


def stream(kinesis, name, **arguments):
    kinesis.create_stream(StreamName=name, **(arguments or {"ShardCount": 1}))
    return settled(kinesis, name)


def settled(kinesis, name):
    for _ in range(200):
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            return summary
        time.sleep(0.05)
    raise AssertionError(f"{name} did not become ACTIVE")


def shared(arn, *actions):
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": list(actions), "Resource": arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policies(kinesis):
    arn = stream(kinesis, "shared")["StreamARN"]
    other = as_user("kinesis", OTHER)
    record = {"StreamARN": arn, "PartitionKey": "a", "Data": b"from afar"}
    check(kinesis.get_resource_policy(ResourceARN=arn)["Policy"], "{}")
    refused("ResourceNotFoundException", kinesis.delete_resource_policy, ResourceARN=arn)
    refused("AccessDeniedException", other.put_record, **record)
    refused("InvalidArgumentException", kinesis.put_resource_policy, ResourceARN=arn, Policy="{")
    refused("ValidationException", kinesis.put_resource_policy, ResourceARN="arn:aws:s3:::x", Policy="{}")
    document = shared(arn, "kinesis:PutRecord", "kinesis:GetShardIterator", "kinesis:GetRecords")
    kinesis.put_resource_policy(ResourceARN=arn, Policy=document)
    check(json.loads(kinesis.get_resource_policy(ResourceARN=arn)["Policy"]), json.loads(document))
    other.put_record(**record)
    iterator = other.get_shard_iterator(StreamARN=arn, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    check([r["Data"] for r in other.get_records(StreamARN=arn, ShardIterator=iterator)["Records"]], [b"from afar"])
    refused("AccessDeniedException", other.delete_stream, StreamARN=arn)
    refused("ResourceNotFoundException", other.put_record, StreamName="shared", PartitionKey="a", Data=b"x")
    kinesis.delete_resource_policy(ResourceARN=arn)
    refused("AccessDeniedException", other.get_records, StreamARN=arn, ShardIterator=iterator)


def settings(kinesis):
    arn = stream(kinesis, "settings")["StreamARN"]
    large = {"StreamARN": arn, "PartitionKey": "a", "Data": b"x" * (1024 * 1024 + 1)}
    refused("ValidationException", kinesis.put_record, **large)
    refused("ValidationException", kinesis.update_max_record_size, StreamARN=arn, MaxRecordSizeInKiB=1)
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=2048)
    refused("ResourceInUseException", kinesis.update_max_record_size, StreamARN=arn, MaxRecordSizeInKiB=3072)
    check(settled(kinesis, "settings")["MaxRecordSizeInKiB"], 2048)
    kinesis.put_record(**large)
    answer = kinesis.enable_enhanced_monitoring(StreamName="settings", ShardLevelMetrics=["ALL"])
    check((answer["CurrentShardLevelMetrics"], len(answer["DesiredShardLevelMetrics"])), ([], 7))
    settled(kinesis, "settings")
    answer = kinesis.disable_enhanced_monitoring(StreamARN=arn, ShardLevelMetrics=["IncomingBytes"])
    check(len(answer["DesiredShardLevelMetrics"]), 6)
    check(len(settled(kinesis, "settings")["EnhancedMonitoring"][0]["ShardLevelMetrics"]), 6)


def account(kinesis):
    check(kinesis.describe_account_settings()["MinimumThroughputBillingCommitment"]["Status"], "DISABLED")
    stream(kinesis, "warm", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    refused("ValidationException", kinesis.update_stream_warm_throughput, StreamName="warm", WarmThroughputMiBps=6)
    update = kinesis.update_account_settings
    check(update(MinimumThroughputBillingCommitment={"Status": "ENABLED"})["MinimumThroughputBillingCommitment"]["Status"], "ENABLED")
    answer = kinesis.update_stream_warm_throughput(StreamName="warm", WarmThroughputMiBps=6)
    check(answer["WarmThroughput"]["TargetMiBps"], 6)
    check(settled(kinesis, "warm")["OpenShardCount"], 6)
    ended = update(MinimumThroughputBillingCommitment={"Status": "DISABLED"})["MinimumThroughputBillingCommitment"]
    check(ended["Status"], "ENABLED_UNTIL_EARLIEST_ALLOWED_END")


def limits(kinesis):
    """Against a server with `--stream-limits aws`."""
    stream(kinesis, "limited")
    records = [{"PartitionKey": "a", "Data": b"x" * (400 * 1024)}] * 4
    answer = kinesis.put_records(StreamName="limited", Records=records)
    codes = {r.get("ErrorCode") for r in answer["Records"]}
    check((answer["FailedRecordCount"] in (1, 2), codes), (True, {None, "ProvisionedThroughputExceededException"}))
    for _ in range(10):
        try:
            kinesis.get_shard_iterator(StreamName="limited", ShardId=SHARD, ShardIteratorType="LATEST")
        except kinesis.exceptions.ProvisionedThroughputExceededException as error:
            check("Rate exceeded for shard" in str(error), True)
            break
    else:
        raise AssertionError("ten iterators in a row were not throttled")
    kinesis.describe_limits()
    refused("LimitExceededException", kinesis.describe_limits)


def main():
    kinesis = client("kinesis")
    if os.environ.get("STREAM_LIMITS") == "aws":
        limits(kinesis)
    else:
        policies(kinesis)
        settings(kinesis)
        account(kinesis)
    report()


main()
