"""Enhanced fan-out with unmodified boto3, which speaks HTTP/1.1. Run by kinesis-fanout-python.test.ts.

Takes endpoint, region and credentials from the usual AWS variables. Prints one JSON line.
"""

import json
import threading
import time

from botocore.exceptions import EventStreamError

from checks import check, client, refused

kinesis = client("kinesis")
kms = client("kms")
NAME = "boto3-fan-out"
SHARD = "shardId-000000000000"


def active(ask):
    for _ in range(200):
        if ask() == "ACTIVE":
            return
        time.sleep(0.05)
    raise AssertionError("never became ACTIVE")


def stream(name, key=None):
    kinesis.create_stream(StreamName=name, ShardCount=1)
    summary = lambda: kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    active(lambda: summary()["StreamStatus"])
    if key:
        kinesis.start_stream_encryption(StreamName=name, EncryptionType="KMS", KeyId=key)
        active(lambda: summary()["StreamStatus"])
    return summary()["StreamARN"]


def consumer(stream_arn, name="reader"):
    made = kinesis.register_stream_consumer(StreamARN=stream_arn, ConsumerName=name)["Consumer"]
    check(made["ConsumerStatus"], "CREATING")
    arn = made["ConsumerARN"]
    describe = lambda: kinesis.describe_stream_consumer(ConsumerARN=arn)["ConsumerDescription"]
    active(lambda: describe()["ConsumerStatus"])
    return arn


class Listener(threading.Thread):
    """Reads a subscription to its end, as it comes."""

    def __init__(self, consumer_arn, start):
        super().__init__(daemon=True)
        answer = kinesis.subscribe_to_shard(ConsumerARN=consumer_arn, ShardId=SHARD, StartingPosition=start)
        self.events = answer["EventStream"]
        self.content_type = answer["ResponseMetadata"]["HTTPHeaders"]["content-type"]
        self.records = []
        self.continuation = None
        self.error = None
        self.start()

    def run(self):
        try:
            for event in self.events:
                event = event["SubscribeToShardEvent"]
                self.continuation = event["ContinuationSequenceNumber"]
                self.records += event["Records"]
        except EventStreamError as error:
            self.error = error.response["Error"]["Code"]

    def received(self, count):
        for _ in range(1000):
            if len(self.records) >= count:
                return [record["Data"] for record in self.records]
            time.sleep(0.005)
        raise AssertionError(f"{len(self.records)} of {count} records came")


key = kms.create_key()["KeyMetadata"]["KeyId"]
arn = stream(NAME, key)
reader = consumer(arn)
refused("ResourceInUseException", kinesis.register_stream_consumer, StreamARN=arn, ConsumerName="reader")

first = Listener(reader, {"Type": "LATEST"})
check(first.content_type, "application/vnd.amazon.eventstream")
latencies = []
for at in range(10):
    began = time.monotonic()
    kinesis.put_record(StreamName=NAME, PartitionKey="k", Data=f"record {at}".encode())
    first.received(at + 1)
    latencies.append(time.monotonic() - began)
check(first.received(10), [f"record {at}".encode() for at in range(10)])
check({record["EncryptionType"] for record in first.records}, {"KMS"})
refused(
    "ResourceInUseException",
    kinesis.subscribe_to_shard,
    ConsumerARN=reader,
    ShardId=SHARD,
    StartingPosition={"Type": "LATEST"},
)

# A second consumer has its own subscription; a key that is disabled ends both.
second = Listener(consumer(arn, "second"), {"Type": "TRIM_HORIZON"})
check(len(second.received(10)), 10)
kms.disable_key(KeyId=key)
for listener in (first, second):
    listener.join(5)
    check(listener.error, "KMSDisabledException")

refused("ResourceInUseException", kinesis.delete_stream, StreamName=NAME)
kinesis.tag_resource(ResourceARN=reader, Tags={"team": "a"})
check(kinesis.list_tags_for_resource(ResourceARN=reader)["Tags"], [{"Key": "team", "Value": "a"}])
check(len(kinesis.list_stream_consumers(StreamARN=arn)["Consumers"]), 2)
kinesis.deregister_stream_consumer(ConsumerARN=reader)
kinesis.delete_stream(StreamName=NAME, EnforceConsumerDeletion=True)

print(json.dumps({"records": len(first.records), "slowest_s": max(latencies), "continuation": second.continuation}))
