"""The queue of what failed for good, for a person who looks at it. Nothing leaves it by itself.

A letter that is looked at is hidden from others until it is given back, or for five minutes where nobody gives it back.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tailrace.aws import Aws, called, translate
from tailrace.config import Config
from tailrace.errors import NotFound, UsageInvalid, UserFault
from tailrace.runtimes.aws_lambda.burying import land_given_up, read_given_up
from tailrace.runtimes.aws_lambda.failures import Failure, failure_of
from tailrace.runtimes.aws_lambda.objects import CreatedObject

log = logging.getLogger(__name__)

HIDDEN_SECONDS: Final = 300  # enough to look at LETTERS_MAX and to send them again
LETTERS_MAX: Final = 1000  # looked at in one go
AT_ONCE: Final = 10  # the most that SQS gives, or takes
WAIT_SECONDS: Final = 1  # more than 0, so that SQS asks all of its servers before it says that there is nothing


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. `sent_ms`: when it came into the queue, Unix ms. `receipt`: with which it is given back or taken away."""

    id: str
    sent_ms: int
    body: str
    receipt: str = field(repr=False)

    @property
    def failure(self) -> Failure:
        return failure_of(self.body)


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a letter: done, or kept; `told` says where it went, or why it stays."""

    is_done: bool
    told: str


class Parked:
    """The queue `queue`, a name or a URL. Raises NotFound where there is none."""

    def __init__(self, aws: Aws, config: Config, queue: str) -> None:
        self._aws, self._config = aws, config
        self._sqs = aws.client("sqs")
        self._held: dict[str, Letter] = {}
        self._url = queue if "://" in queue else self._url_of(queue)

    def _url_of(self, name: str) -> str:
        return str(called("GetQueueUrl", lambda: self._sqs.get_queue_url(QueueName=name), queue=name)["QueueUrl"])

    @contextmanager
    def letters(self) -> Iterator[list[Letter]]:
        """Those that wait, oldest first, at most LETTERS_MAX. What was not dropped meanwhile is given back at the end."""
        try:
            while len(self._held) < LETTERS_MAX and (found := self._received()):
                self._held |= {letter.id: letter for letter in found}
            yield sorted(self._held.values(), key=lambda letter: (letter.sent_ms, letter.id))
        finally:
            self._give_back(list(self._held.values()))
            self._held.clear()

    def _received(self) -> list[Letter]:
        answer = called(
            "ReceiveMessage",
            lambda: self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=AT_ONCE,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=WAIT_SECONDS,
                AttributeNames=["SentTimestamp"],
            ),
        )
        return [
            Letter(m["MessageId"], int(m["Attributes"]["SentTimestamp"]), m["Body"], m["ReceiptHandle"])
            for m in answer.get("Messages", [])
        ]

    def _give_back(self, letters: list[Letter]) -> None:
        """What cannot be given back shows itself again after HIDDEN_SECONDS."""
        for start in range(0, len(letters), AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                for number, letter in enumerate(letters[start : start + AT_ONCE])
            ]
            try:
                self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
            except Exception as error:
                why = translate(error, operation="ChangeMessageVisibilityBatch")
                log.warning("letters stay hidden for %d seconds: %s %s", HIDDEN_SECONDS, why, why.hint)
                return

    def replay(self, letter: Letter) -> Replay:
        """Send a letter's event to its function once more, or land its records; then take it away.

        Stopped between both, it is done once more the next time, which changes nothing. Raises what AWS answers.
        """
        failure = letter.failure
        if failure.why_not_replayed is not None:
            return Replay(False, f"{failure.why_not_replayed}: `tailrace dlq drop` takes it away")
        replay = self._landed(failure.object) if failure.object else self._sent(failure)
        if replay.is_done:
            self.drop(letter)
        return replay

    def _sent(self, failure: Failure) -> Replay:
        payload = json.dumps(failure.anew()).encode()
        invoke = self._aws.client("lambda").invoke
        try:
            called(
                "Invoke",
                lambda: invoke(FunctionName=failure.function, InvocationType="Event", Payload=payload),
                function=failure.function,
            )
        except NotFound:
            return Replay(False, f"There is no function {failure.function}")
        return Replay(True, f"sent to {failure.function}")

    def _landed(self, place: str) -> Replay:
        bucket, _, key = place.removeprefix("s3://").partition("/")
        try:
            data = read_given_up(self._aws, CreatedObject(bucket, key))
            batch = land_given_up(self._aws, self._config, data, lambda: math.inf, log.debug)
        except (ValueError, NotFound, UsageInvalid) as error:
            return Replay(False, f"{place} cannot land: {error}")
        return Replay(True, f"landed {len(batch.records)} records of {batch.table}")

    def drop(self, letter: Letter) -> None:
        """Take a letter away for good; it may be away already."""
        try:
            called("DeleteMessage", lambda: self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt))
        except UserFault as error:
            if error.facts.get("aws_code") != "ReceiptHandleIsInvalid":
                raise
            log.info("%s is away already, or shows itself again", letter.id)  # after an answer that was lost, say
        del self._held[letter.id]
