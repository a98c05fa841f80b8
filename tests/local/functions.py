"""Lambda functions for the tests: made of a handler's text, and what they saw is read from a bucket."""

from __future__ import annotations

import io
import itertools
import json
import textwrap
import time
import zipfile
from collections.abc import Callable
from typing import Any

from stream_reader import Account

ROLE = "arn:aws:iam::000000000000:role/tests"

# Every call leaves an object with its event. A record whose item has `bad` fails as its text says.
RECORDER = """
import json, os, time
import boto3

s3 = boto3.client("s3")
BUCKET = os.environ["SEEN"]

def handler(event, context):
    s3.put_object(Bucket=BUCKET, Key=f"{time.time_ns()}-{context.aws_request_id}", Body=json.dumps(event).encode())
    failures = []
    for record in event.get("Records", []):
        bad = record.get("dynamodb", {}).get("NewImage", {}).get("bad", {}).get("S")
        if bad == "raise":
            raise ValueError("bad record")
        if bad == "report":
            failures.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
    if event.get("bad"):
        raise ValueError("bad event")
    return {"batchItemFailures": failures}
"""


class Lambda:
    """The Lambda client of an account, and the functions that the tests make."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.client = account.client("lambda", read_timeout=60)
        self.sqs = account.client("sqs")
        self._numbers = itertools.count()

    def function(self, code: str = RECORDER, **settings: Any) -> str:
        """A new function, and a bucket of its name."""
        name = f"function-{next(self._numbers)}"
        self.account.s3.create_bucket(Bucket=name)
        variables = {"SEEN": name, **settings.pop("variables", {})}
        self.client.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler="handler.handler",
            Role=ROLE,
            Timeout=settings.pop("Timeout", 20),
            Code={"ZipFile": zipped(code)},
            Environment={"Variables": variables},
            **settings,
        )
        return name

    def map(self, function: str, table: str, **settings: Any) -> str:
        """An event source mapping on a table's stream; its UUID."""
        settings.setdefault("StartingPosition", "TRIM_HORIZON")
        made = self.client.create_event_source_mapping(
            FunctionName=function, EventSourceArn=self.account.arn(table), **settings
        )
        return str(made["UUID"])

    def seen(self, function: str) -> list[Any]:
        """The events of its calls so far, oldest first."""
        listed = self.account.s3.list_objects_v2(Bucket=function).get("Contents", [])
        bodies = [self.account.s3.get_object(Bucket=function, Key=entry["Key"])["Body"].read() for entry in listed]
        return [json.loads(body) for body in bodies]

    def batches(self, function: str) -> list[list[str]]:
        """The keys of each batch so far."""
        return [[r["dynamodb"]["Keys"]["pk"]["S"] for r in event["Records"]] for event in self.seen(function)]

    def queue(self) -> tuple[str, str]:
        """A new queue: its URL and its ARN."""
        name = f"queue-{next(self._numbers)}"
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:us-east-1:000000000000:{name}"

    def messages(self, url: str) -> list[dict[str, Any]]:
        """Those that wait in a queue, which then has them no more."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(message)


def zipped(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", textwrap.dedent(code))
    return buffer.getvalue()


def until(look: Callable[[], Any], seconds: float = 30) -> Any:
    """What `look` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"still {found!r} after {seconds} seconds"
        time.sleep(0.05)
    return found
