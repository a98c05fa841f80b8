"""Asynchronous calls: accepted at once, tried again after one and two minutes of the movable clock, announced when given up."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.local.emulator import Owner
from tailrace.local.faults import Fault, function_name
from tailrace.local.functions.destinations import ATTRIBUTE_CHARS_MAX, Destinations, moment_text
from tailrace.local.functions.emulated import THROTTLED, Functions, Invocation
from tailrace.local.functions.loop import Loop

RETRIES_MAX: Final = 2
AGE_SECONDS_MAX: Final = 6 * 3600
RETRY_SECONDS: Final = (60.0, 120.0)  # before the first and the second retry
BACKOFF_SECONDS: Final = (1.0, 300.0)  # after a call that did not run: the first pause and the longest


@dataclass(slots=True, eq=False)
class Event:
    """An accepted call. Times are the movable clock's Unix seconds; `depth`: how many functions called one another to make it."""

    function_arn: str
    payload: Any
    depth: int
    accepted: float
    due: float
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    calls: int = 0
    pauses: int = 0
    last: Invocation | None = None


class Events:
    """Those not yet done. They are kept in memory only."""

    def __init__(
        self,
        functions: Functions,
        destinations: Destinations,
        strike: Callable[[str], Fault | None],
        now: Callable[[], float],
    ) -> None:
        self._functions = functions
        self._destinations = destinations
        self._strike = strike
        self._now = now
        self._events: list[Event] = []
        self.loop = Loop(self._look)
        functions.on_event(lambda *accepted: self.loop.call(self._accept, *accepted))

    def _accept(self, function_arn: str, payload: Any, depth: int) -> None:
        fault, now = self._strike(function_name(function_arn)), self._now()
        kind = None if fault is None else fault.kind
        due = now + (fault.seconds if fault is not None and kind == "event_late" else 0.0)
        for _ in range({"event_lost": 0, "event_twice": 2}.get(kind or "", 1)):
            self._events.append(Event(function_arn, payload, depth, now, due))
        self.loop.wake()

    async def _look(self) -> None:
        now = self._now()
        for event in self._events:
            if event.due <= now and not self.loop.is_busy(event):
                self.loop.begin(event, self._work(event))

    async def _work(self, event: Event) -> None:
        settings = await self._functions.event_settings_of(event.function_arn)
        if self._now() - event.accepted > settings.get("MaximumEventAgeInSeconds", AGE_SECONDS_MAX):
            await self._end(event, settings, "EventAgeExceeded")
            return
        invocation = await self._functions.invoke(event.function_arn, event.payload, depth=event.depth)
        if invocation.status == THROTTLED or invocation.status >= 500:
            shortest, longest = BACKOFF_SECONDS
            event.due = self._now() + min(longest, shortest * 2 ** min(event.pauses, 20))
            event.pauses += 1
            return
        if invocation.status != 200:  # there is no such function any more
            self._events.remove(event)
            return
        event.calls += 1
        event.last = invocation
        if invocation.error is None:
            await self._end(event, settings, "Success")
        elif event.calls > settings.get("MaximumRetryAttempts", RETRIES_MAX):
            await self._end(event, settings, "RetriesExhausted")
        else:
            event.due = self._now() + RETRY_SECONDS[event.calls - 1]

    async def _end(self, event: Event, settings: dict[str, Any], condition: str) -> None:
        """Done with it, well or not: the destination hears of it, and the dead-letter queue of a failure."""
        self._events.remove(event)
        side = "OnSuccess" if condition == "Success" else "OnFailure"
        destination = ((settings.get("DestinationConfig") or {}).get(side) or {}).get("Destination")
        owner, now = Owner.of_arn(event.function_arn), self._now()
        if destination:
            folder = f"aws/lambda/async/{function_name(event.function_arn)}"
            await self._destinations.send(destination, _told(event, condition, now), owner, folder=folder, now=now)
        dead_letters = None if condition == "Success" else await self._functions.dead_letters_of(event.function_arn)
        if dead_letters:
            await self._destinations.post(dead_letters, json.dumps(event.payload), _attributes(event, condition))


def _told(event: Event, condition: str, now: float) -> dict[str, Any]:
    qualified = event.function_arn.count(":") > 6
    answered = {}
    if event.last is not None:
        answered = {"responseContext": event.last.response_context(), "responsePayload": _payload(event.last)}
    return {
        "version": "1.0",
        "timestamp": moment_text(now),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": event.function_arn if qualified else f"{event.function_arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": event.calls,
        },
        "requestPayload": event.payload,
        **answered,
    }


def _attributes(event: Event, condition: str) -> dict[str, tuple[str, str]]:
    """What a dead letter says of its event."""
    answer = None if event.last is None else _payload(event.last)
    message = answer.get("errorMessage") if isinstance(answer, dict) else None
    return {
        "RequestID": ("String", event.request_id),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", str(message or condition)[:ATTRIBUTE_CHARS_MAX]),
    }


def _payload(invocation: Invocation) -> Any:
    try:
        return json.loads(invocation.payload or b"null")
    except ValueError:
        return invocation.payload.decode(errors="replace")
