"""What Lambda gave up, as it tells of it, and what is to be done about it. Values in, values out.

A failed event comes from the destination of an asynchronous call; given-up records of a stream from that of an event source
mapping, which tells of them in a queue, or keeps them whole in a bucket.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tailrace.errors import TargetBusy, Transient

RETRIED: Final = "tailrace_retried"  # in an event that was sent a second time
PASSING: Final = ("Sandbox.Timedout", "Runtime.ExitError", "Lambda.Timeout")
Remedy: TypeAlias = Literal["retry", "keep"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that Lambda gave up. `event`: what the function was called with; None: only described.

    `function`: its ARN without a version. `error`: type and message of the last attempt. `object`: where given-up records
    lie that could not land, ``s3://bucket/key``; nothing else is known of those.
    """

    function: str
    condition: str
    error_type: str
    error: str
    attempts: int
    event: Any = None
    stream: str = ""
    object: str = ""

    @property
    def remedy(self) -> Remedy:
        """What passes by itself is tried once more; everything else waits for a person."""
        if not isinstance(self.event, Mapping) or self.event.get(RETRIED) or not self.function:
            return "keep"
        passes = self.error_type in _passing() or self.condition == "EventAgeExceeded" or "timed out" in self.error
        return "retry" if passes else "keep"

    @property
    def why_not_replayed(self) -> str | None:
        """Why nobody can send it again; None where somebody can."""
        if self.object or (self.function and isinstance(self.event, Mapping)):
            return None
        if self.stream:
            return "It tells where records are, and does not hold them: the publisher reads those from the stream"
        return "It does not say which function was called"

    def again(self) -> dict[str, Any]:
        """The event, marked so that it is not sent a third time."""
        return {**self.event, RETRIED: True}

    def anew(self) -> dict[str, Any]:
        """The event as it was at first: whoever sends it by hand has removed the cause, and it may be retried as ever."""
        return {name: value for name, value in self.event.items() if name != RETRIED}

    def told(self) -> str:
        """One sentence, and the next step."""
        if self.object:
            return (
                f"Records that a function gave up lie in {self.object} and cannot land: {self.error_type}: {self.error}"
            )
        name = self.function.rpartition(":")[2] or "a function"
        what = f"records of {self.stream}" if self.stream else "an event"
        why = f"{self.error_type}: {self.error}".strip(": ").removesuffix(".") or "no error was told"
        return (
            f"{name} gave up {what} after {self.attempts} attempts ({self.condition}): {why}. "
            "The next schedule makes up for it once the cause is removed; see the function's log."
        )


def failure_of(text: str) -> Failure:
    """A message of a destination or of a dead-letter queue; what cannot be read is told as it is. Never raises."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, Mapping) and isinstance(document.get("object"), str):
        told = str(document.get("errorType", "")), str(document.get("errorMessage", ""))
        return Failure("", "unknown", *told, 0, object=document["object"])
    if not isinstance(document, Mapping) or not isinstance(context := document.get("requestContext"), Mapping):
        return Failure("", "unknown", "", text[:1000], 0, event=document)
    answer = document.get("responsePayload")
    answer = answer if isinstance(answer, Mapping) else {}
    batch = document.get("DDBStreamBatchInfo")
    batch = batch if isinstance(batch, Mapping) else {}
    answered = document.get("responseContext")
    error = str(answered.get("functionError", "")) if isinstance(answered, Mapping) else ""
    return Failure(
        function=":".join(str(context.get("functionArn", "")).split(":")[:7]),
        condition=str(context.get("condition", "unknown")),
        error_type=str(answer.get("errorType", error)),
        error=str(answer.get("errorMessage", "")),
        attempts=_count(context.get("approximateInvokeCount")),
        event=document.get("requestPayload"),
        stream=str(batch.get("streamArn", "")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def unlanded(place: str, error: Exception) -> str:
    """The letter that tells of given-up records which cannot land; `failure_of` reads it."""
    return json.dumps({"object": place, "errorType": type(error).__name__, "errorMessage": str(error)})


def given_up_records(data: bytes) -> Any:
    """The event with the records that a mapping kept in a bucket. Raises ValueError where there is none."""
    document = json.loads(data)
    if not isinstance(document, Mapping) or not isinstance(document.get("payload"), str):
        raise ValueError("it holds no payload of a stream")
    return json.loads(document["payload"])


def _passing() -> frozenset[str]:
    """Names of errors that a later attempt may not meet."""
    found, kinds = {*PASSING, TargetBusy.__name__, Transient.__name__}, [Transient]
    while kinds:
        for kind in kinds.pop().__subclasses__():
            found.add(kind.__name__)
            kinds.append(kind)
    return frozenset(found)
