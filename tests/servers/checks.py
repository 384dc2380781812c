"""What the scripts of this directory share: clients that note what they called, and checks with telling errors."""

import json
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]

# By service, operation: the statuses that it was answered with.
called = {}


def client(service, region=None, **credentials):
    made = boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=region,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        **credentials,
    )

    def note(http_response, model, **_):
        called.setdefault((service, model.name), set()).add(http_response.status_code)

    made.meta.events.register(f"after-call.{made.meta.service_model.service_id.hyphenize()}.*", note)
    return made


def as_user(service, key, region=None):
    """A client with what CreateAccessKey or AssumeRole answered."""
    return client(
        service,
        region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key.get("SessionToken"),
    )


def check(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def refused(expected, call, **arguments):
    """The call fails with this code; its message."""
    try:
        call(**arguments)
    except ClientError as error:
        check(error.response["Error"]["Code"], expected)
        return error.response["Error"]["Message"]
    raise AssertionError(f"{getattr(call, '__name__', call)} succeeded, expected {expected}")


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **s} for s in statements]})


def trust(principal, **extra):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **extra}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def report():
    """One JSON line: what was called, and what of it worked."""
    worked = sorted(f"{service}.{name}" for (service, name), statuses in called.items() if 200 in statuses)
    print(json.dumps({"called": len(called), "worked": worked}))
