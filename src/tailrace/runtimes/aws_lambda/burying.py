"""The function behind the queue of dead letters and the bucket of given-up records.

An event whose failure may pass is sent once more; any other is kept in a queue and announced. Records that Lambda gave up land as
the function behind the stream would have landed them. A letter in the queue comes again until all of this is done; an event of
the bucket is repeated twice.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from tailrace.aws import Aws, called
from tailrace.capture.lambda_events import StreamBatch, batch_of
from tailrace.clock import SystemClock
from tailrace.config import Config, find_config, load_config
from tailrace.deploy.entry import PARKED, TOPIC
from tailrace.errors import ConfigInvalid, OutOfTime, TailraceError, Transient
from tailrace.landing import Landing, open_store
from tailrace.runtimes.aws_lambda.capturing import land, seconds_left
from tailrace.runtimes.aws_lambda.failures import Failure, failure_of, given_up_records, unlanded
from tailrace.runtimes.aws_lambda.objects import CreatedObject, created_objects
from tailrace.runtimes.aws_lambda.telemetry import say, set_up_logging

log = logging.getLogger(__name__)

SUBJECT: Final = "Tailrace: a call failed for good"


def dead_letters(event: Any, context: Any) -> dict[str, int]:
    """See to every letter of an event; how many were retried, kept and landed. Raises when one could not be seen to."""
    set_up_logging()
    config = load_config(find_config(None))
    aws = Aws(config.source.aws())
    done = {"retried": 0, "kept": 0, "landed": 0}
    for record in event.get("Records", []) if isinstance(event, Mapping) else []:
        if isinstance(record, Mapping) and record.get("eventSource") == "aws:sqs":
            done[_see_to(aws, str(record.get("body", "")))] += 1
    for created in created_objects(event):
        done[_land(aws, config, created, context)] += 1
    log.info("%d letters were retried, %d kept, %d batches landed", done["retried"], done["kept"], done["landed"])
    return done


def _see_to(aws: Aws, body: str) -> str:
    failure = failure_of(body)
    if failure.remedy == "keep":
        _keep(aws, failure, body)
        return "kept"
    invoke, payload = aws.client("lambda").invoke, json.dumps(failure.again()).encode()
    called("Invoke", lambda: invoke(FunctionName=failure.function, InvocationType="Event", Payload=payload))
    log.warning("once more: %s", failure.told())
    return "retried"


def _keep(aws: Aws, failure: Failure, body: str) -> None:
    """First kept, then told: a letter that comes again is kept twice, which is better than not at all."""
    told = failure.told()
    log.error("%s", told)
    queue, sqs = _setting(PARKED), aws.client("sqs")
    called("SendMessage", lambda: sqs.send_message(QueueUrl=queue, MessageBody=body))
    topic, sns = _setting(TOPIC), aws.client("sns")
    called("Publish", lambda: sns.publish(TopicArn=topic, Subject=SUBJECT, Message=told))


def _land(aws: Aws, config: Config, created: CreatedObject, context: Any) -> str:
    """Land what a mapping gave up; where it cannot land, the object stays where it is and somebody is told."""
    try:
        data = read_given_up(aws, created)
        batch = land_given_up(aws, config, data, seconds_left(context))
    except Transient:
        raise
    except (ValueError, TailraceError) as error:
        letter = unlanded(created.place, error)
        _keep(aws, failure_of(letter), letter)
        return "kept"
    log.warning("%s: %d given-up records landed from %s", batch.table, len(batch.records), created.place)
    return "landed"


def read_given_up(aws: Aws, created: CreatedObject) -> bytes:
    """The object with the records of one batch. Raises what AWS answers, in our words."""
    s3 = aws.client("s3")
    data: bytes = called(
        "GetObject",
        lambda: s3.get_object(Bucket=created.bucket, Key=created.key)["Body"].read(),
        object=created.place,
    )
    return data


def land_given_up(
    aws: Aws, config: Config, data: bytes, remaining: Callable[[], float], tell: Callable[[str], None] = say
) -> StreamBatch:
    """Land a batch as the function behind the stream would have; repeated, it lands nothing twice.

    `remaining`: seconds that are left. `tell`: gets the line of metrics. Raises ValueError or UsageInvalid for what is no
    batch, OutOfTime where not all of it landed, and what writing raises.
    """
    batch = batch_of(given_up_records(data))
    landing = Landing(open_store(config.landing.url, aws.client("s3")), batch.table)
    if land(batch, landing, SystemClock(), remaining, tell)["batchItemFailures"]:
        raise OutOfTime("There was no time to land all of a given-up batch", hint="It is tried again.")
    return batch


def _setting(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ConfigInvalid(f"{name} is not set", hint="See docs/lambda.md for the variables of this function.")
    return value
