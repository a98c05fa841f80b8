"""Writes a profile's items into a table: inserts, updates and deletes in a given mix, at a given rate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Literal, TypeAlias

from tailrace.aws import translate
from tailrace.clock import Clock
from tailrace.errors import NotFound, Throttled, Transient, UsageInvalid
from tailrace.gen.profiles import Item, Profile

BATCH_MAX: Final = 25  # of BatchWriteItem
TRIES: Final = 10  # of a request that is throttled, refused in part, or not answered
PAUSE_SECONDS: Final = 0.05  # before the second try; doubled each time
PAUSE_SECONDS_MAX: Final = 5.0
STEADY_SECONDS: Final = 0.25  # no request of a steady rate carries more than this brings
BEHIND_SECONDS_MAX: Final = 1.0  # a rate that was missed for longer is not made up for
TURN_SECONDS: Final = 0.001  # no wait is shorter
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

    def count(self, kind: Kind) -> None:
        name = f"{kind}s"
        setattr(self, name, getattr(self, name) + 1)


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
    """Create the table with a stream of both images where it is absent; True if it was. Waits until it is active.

    Raises UsageInvalid for a table that is there and has other keys than the profile.
    """
    created = False
    for _ in range(READY_TRIES):
        try:
            description = client.describe_table(TableName=table)["Table"]
        except Exception as error:
            if not isinstance(translate(error, operation="DescribeTable"), NotFound):
                raise translate(error, operation="DescribeTable", table=table) from error
            created = _create_table(client, table, profile) or created
            continue
        _check_keys(description, profile)
        if description["TableStatus"] == "ACTIVE":
            return created
        clock.wait(0.5, threading.Event())
    raise NotFound("The table did not become active", hint="Look at it in the AWS console.", table=table)


def _create_table(client: Any, table: str, profile: Profile) -> bool:
    """False where somebody else is just doing it."""
    roles = zip(profile.keys, ("HASH", "RANGE"), strict=False)
    try:
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": name, "KeyType": role} for name, role in roles],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in profile.keys.items()],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
    except client.exceptions.ResourceInUseException:
        return False
    except Exception as error:
        raise translate(error, operation="CreateTable", table=table) from error
    return True


def ensure_recovery(client: Any, table: str, clock: Clock) -> None:
    """Switch point-in-time recovery on, where it is off. A new table may have to be asked again for a while."""
    for attempt in range(READY_TRIES):
        try:
            client.update_continuous_backups(
                TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )
            return
        except Exception as error:
            ours = translate(error, operation="UpdateContinuousBackups", table=table)
            is_early = ours.facts.get("aws_code") == "ContinuousBackupsUnavailableException"
            if not is_early or attempt == READY_TRIES - 1:
                raise ours from error
        clock.wait(0.5, threading.Event())


def _check_keys(description: Mapping[str, Any], profile: Profile) -> None:
    types = {d["AttributeName"]: d["AttributeType"] for d in description["AttributeDefinitions"]}
    ranked = sorted(description["KeySchema"], key=lambda key: key["KeyType"])  # HASH before RANGE
    keys = {key["AttributeName"]: types[key["AttributeName"]] for key in ranked}
    if list(keys.items()) != list(profile.keys.items()):
        raise UsageInvalid(
            f"The table's key is {_shown(keys)}, that of the profile {profile.name} is {_shown(profile.keys)}",
            hint="Choose another --table, which is created for you, or another --profile.",
            table=description["TableName"],
        )


def _shown(keys: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in keys.items())


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
        burst: int | None = None,
        seconds: float | None = None,
        stop: threading.Event | None = None,
        on_progress: Callable[[Written], None] = lambda written: None,
    ) -> Written:
        """Write so many changes, at most `rate` a second, for at most `seconds`, until `stop`.

        The rate is steady, or with `burst` comes in groups of so many, each written as fast as it goes.
        Raises what the table answers when it stays with it; `written` then says what was written before.
        """
        stop = stop or threading.Event()
        begun, first = self._clock.monotonic(), self.written.changes
        most = self._batch if rate is None or burst else max(1, min(self._batch, int(rate * STEADY_SECONDS)))
        due, group = begun, burst or most  # `group` changes may be written at `due`
        left = 0
        while (done := self.written.changes - first) < changes and not stop.is_set():
            now = self._clock.monotonic()
            if seconds is not None and now - begun >= seconds:
                break
            if rate is not None and left == 0:
                if now < due:
                    longest = due - now if seconds is None else min(due, begun + seconds) - now
                    self._clock.wait(max(longest, TURN_SECONDS), stop)
                    continue
                due = max(due, now - BEHIND_SECONDS_MAX) + group / rate
                left = group
            size = min(most, changes - done, left or most)
            before = self.written.changes
            self._write_batch(self._next_batch(size), stop)
            left = max(0, left - (self.written.changes - before))
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
        """Try until the table has taken all of it, or `stop`; only what it took is counted."""
        left = {str(operation.key): operation for operation in batch}
        for attempt in range(TRIES):
            try:
                refused = self._send(list(left.values()))
            except Transient:
                if attempt == TRIES - 1:
                    raise
                refused = left.keys()
            for operation in [operation for key, operation in left.items() if key not in refused]:
                self.written.count(operation.kind)
                del left[str(operation.key)]
            if not left or stop.is_set():
                return
            self._clock.wait(min(PAUSE_SECONDS * 2**attempt, PAUSE_SECONDS_MAX), stop)
        raise Throttled("DynamoDB does not take the writes", hint="Lower --rate.", table=self._table)

    def _send(self, batch: Sequence[Operation]) -> Collection[str]:
        """One request; the keys that the table refused for now."""
        if len(batch) == 1:
            self._send_one(batch[0])
            return ()
        requests = {self._table: [_request(operation) for operation in batch]}
        answer = self._call("BatchWriteItem", self._client.batch_write_item, RequestItems=requests)
        unprocessed = answer["UnprocessedItems"].get(self._table, ())
        return {str(_key_of(request, batch[0].key)) for request in unprocessed}

    def _send_one(self, operation: Operation) -> None:
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


def _key_of(request: Mapping[str, Any], names: Iterable[str]) -> Item:
    item = request["DeleteRequest"]["Key"] if "DeleteRequest" in request else request["PutRequest"]["Item"]
    return {name: item[name] for name in names}
