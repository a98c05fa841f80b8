"""Where failed batches and events go: queues, topics, buckets, functions, buses, by the calls that everybody makes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from tailrace.local.emulator import Emulator, Owner
from tailrace.local.functions.emulated import Functions

ATTRIBUTE_CHARS_MAX: Final = 1024


class Destinations:
    """Sends. A destination that is not there swallows what it is sent, as AWS's do but for a metric."""

    def __init__(self, emulator: Emulator, functions: Functions) -> None:
        self._emulator = emulator
        self._functions = functions

    async def send(self, arn: str, record: Mapping[str, Any], owner: Owner, *, folder: str, now: float) -> None:
        """A record as JSON; in a bucket it is an object in the folder of its day, below `folder`."""
        body = json.dumps(record)
        match arn.split(":")[2]:
            case "s3":
                moment = datetime.fromtimestamp(now, UTC)
                key = f"{folder}/{moment:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
                await self._emulator.put_object(arn.rpartition(":")[2], key, body.encode(), owner)
            case "lambda":
                await self._functions.accept(arn, record)
            case "events":
                await self._put_event(arn, record)
            case _:
                await self.post(arn, body, {})

    async def post(self, arn: str, body: str, attributes: Mapping[str, tuple[str, str]]) -> None:
        """A message to a queue or topic. `attributes`: name to type and value."""
        owner = Owner.of_arn(arn)
        if arn.split(":")[2] == "sqs":
            name = arn.rpartition(":")[2]
            named = {key: {"DataType": kind, "StringValue": value} for key, (kind, value) in attributes.items()}
            request = {
                "QueueUrl": f"http://127.0.0.1/{owner.account}/{name}",
                "MessageBody": body,
                "MessageAttributes": named,
            }
            await self._emulator.request(
                "POST",
                "/",
                json.dumps(request).encode(),
                {
                    "x-amz-target": "AmazonSQS.SendMessage",
                    "content-type": "application/x-amz-json-1.0",
                    "authorization": owner.authorization_of("sqs"),
                },
            )
            return
        form = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": arn, "Message": body}
        for place, (key, (kind, value)) in enumerate(attributes.items(), 1):
            entry = f"MessageAttributes.entry.{place}"
            form |= {f"{entry}.Name": key, f"{entry}.Value.DataType": kind, f"{entry}.Value.StringValue": value}
        await self._emulator.request(
            "POST",
            "/",
            urlencode(form).encode(),
            {"content-type": "application/x-www-form-urlencoded", "authorization": owner.authorization_of("sns")},
        )

    async def _put_event(self, arn: str, record: Mapping[str, Any]) -> None:
        succeeded = record["requestContext"]["condition"] == "Success"
        entry = {
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {'Success' if succeeded else 'Failure'}",
            "Detail": json.dumps(record),
            "EventBusName": arn.rpartition("/")[2],
        }
        await self._emulator.request(
            "POST",
            "/",
            json.dumps({"Entries": [entry]}).encode(),
            {
                "x-amz-target": "AWSEvents.PutEvents",
                "content-type": "application/x-amz-json-1.1",
                "authorization": Owner.of_arn(arn).authorization_of("events"),
            },
        )


def moment_text(seconds: float, *, milliseconds: bool = True) -> str:
    """``2026-03-01T10:42:07.250Z``"""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds" if milliseconds else "seconds")
    return text.replace("+00:00", "Z")
