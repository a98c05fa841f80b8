"""Writes a profile's items into a table: inserts, updates and deletes in a given mix, at a given rate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Literal, TypeAlias

from tailrace.aws import translate
from tailrace.clock import Clock
from tailrace.errors import NotFound, Throttled
from tailrace.gen.profiles import Item, Profile

BATCH_MAX: Final = 25  # of BatchWriteItem
UNPROCESSED_TRIES: Final = 10
READY_TRIES: Final = 600

Kind: TypeAlias = Literal["insert", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One write; `item` is the whole new item, None for a delete."""

    kind: Kind
    key: Item
    item: Item | None


@dataclass(slots=True)
class Written:
    """What was written so far."""

    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    seconds: float = 0.0

    @property
    def changes(self) -> int:
        return self.inserts + self.updates + self.deletes


@dataclass(slots=True)
class Plan:
    """An endless, seeded sequence of writes: which keys live is known, so updates and deletes hit.

    `mix` weighs inserts, updates and deletes; an update writes another version, so it always changes something.
    """

    profile: Profile
    seed: int = 0
    mix: tuple[int, int, int] = (70, 20, 10)
    _versions: dict[int, int] = field(default_factory=dict)
    _live: list[int] = field(default_factory=list)
    _next: int = 0

    def operations(self) -> Iterator[Operation]:
        random = Random(self.seed)
        while True:
            kind: Kind = random.choices(("insert", "update", "delete"), self.mix)[0]
            yield self._operation(kind if self._live else "insert", random)

    def _operation(self, kind: Kind, random: Random) -> Operation:
        if kind == "insert":
            number, self._next = self._next, self._next + 1
            self._live.append(number)
        else:
            index = random.randrange(len(self._live))
            number = self._live[index]
            if kind == "delete":
                self._live[index] = self._live[-1]
                self._live.pop()
        version = self._versions[number] = self._versions.get(number, -1) + 1
        if kind == "delete":
            return Operation(kind, self.profile.key_of(self.seed, number), None)
        item = self.profile.item_of(self.seed, number, version)
        return Operation(kind, {name: item[name] for name in self.profile.keys}, item)


def ensure_table(client: Any, table: str, profile: Profile, clock: Clock) -> bool:
    """Create the table with a stream of both images where it is absent; True if it was. Waits until it is active."""
    created = False
    for _ in range(READY_TRIES):
        try:
            description = client.describe_table(TableName=table)["Table"]
        except Exception as error:
            if not isinstance(translate(error, operation="DescribeTable"), NotFound):
                raise translate(error, operation="DescribeTable", table=table) from error
            _create_table(client, table, profile)
            created = True
            continue
        if description["TableStatus"] == "ACTIVE":
            return created
        clock.wait(0.5, threading.Event())
    raise NotFound("The table did not become active", hint="Look at it in the AWS console.", table=table)


def _create_table(client: Any, table: str, profile: Profile) -> None:
    roles = zip(profile.keys, ("HASH", "RANGE"), strict=False)
    try:
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": name, "KeyType": role} for name, role in roles],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in profile.keys.items()],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
    except Exception as error:
        raise translate(error, operation="CreateTable", table=table) from error


class Writer:
    """Carries a plan out. One thread, one order: a key's writes reach the table in the plan's order."""

    def __init__(self, client: Any, table: str, plan: Plan, clock: Clock, *, batch: int = BATCH_MAX) -> None:
        self._client = client
        self._table = table
        self._operations = plan.operations()
        self._clock = clock
        self._batch = max(1, min(batch, BATCH_MAX))
        self._held: Operation | None = None
        self.written = Written()

    def write(
        self,
        changes: int,
        *,
        rate: float | None = None,
        seconds: float | None = None,
        stop: threading.Event | None = None,
        on_progress: Callable[[Written], None] = lambda written: None,
    ) -> Written:
        """Write so many changes, at most `rate` a second, for at most `seconds`, until `stop`."""
        stop = stop or threading.Event()
        begun, first = self._clock.monotonic(), self.written.changes
        while (done := self.written.changes - first) < changes and not stop.is_set():
            elapsed = self._clock.monotonic() - begun
            if seconds is not None and elapsed >= seconds:
                break
            if rate is not None and done > elapsed * rate:
                self._clock.wait((done - elapsed * rate) / rate, stop)
                continue
            self._write_batch(self._next_batch(min(self._batch, changes - done)), stop)
            self.written.seconds = self._clock.monotonic() - begun
            on_progress(self.written)
        return self.written

    def _next_batch(self, most: int) -> Sequence[Operation]:
        """Operations on distinct keys, in order: BatchWriteItem takes a key once."""
        batch: dict[str, Operation] = {}
        while len(batch) < most:
            operation = self._held or next(self._operations)
            self._held = None
            if str(operation.key) in batch:
                self._held = operation
                break
            batch[str(operation.key)] = operation
        return list(batch.values())

    def _write_batch(self, batch: Sequence[Operation], stop: threading.Event) -> None:
        if len(batch) == 1:
            self._write_one(batch[0])
        else:
            requests: Any = {self._table: [_request(operation) for operation in batch]}
            for attempt in range(UNPROCESSED_TRIES):
                requests = self._call("BatchWriteItem", self._client.batch_write_item, RequestItems=requests)[
                    "UnprocessedItems"
                ]
                if not requests:
                    break
                self._clock.wait(0.05 * 2**attempt, stop)
            else:
                raise Throttled("DynamoDB does not take the writes", hint="Lower --rate.", table=self._table)
        for operation in batch:
            name = f"{operation.kind}s"
            setattr(self.written, name, getattr(self.written, name) + 1)

    def _write_one(self, operation: Operation) -> None:
        if operation.item is None:
            self._call("DeleteItem", self._client.delete_item, TableName=self._table, Key=operation.key)
        else:
            self._call("PutItem", self._client.put_item, TableName=self._table, Item=operation.item)

    def _call(self, operation: str, call: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return call(**arguments)
        except Exception as error:
            raise translate(error, operation=operation, table=self._table) from error


def _request(operation: Operation) -> dict[str, Any]:
    if operation.item is None:
        return {"DeleteRequest": {"Key": operation.key}}
    return {"PutRequest": {"Item": operation.item}}
