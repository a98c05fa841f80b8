"""Redshift as a target, in trouble: at every call and at every statement of a load, and the troubles that have a name.

Whatever happens, the table is as before or as after; a new process repeats the load, and then everything is as if nothing had
happened. ``make faults`` tries every fault at every place; `make test` all places, with some of the faults each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redshift_place import Died, Kind, Place, State, Trouble

from tailrace.errors import OutcomeUnknown, ServiceUnavailable, TailraceError, Transient
from tailrace.local.client import LocalAws
from tailrace.targets.target import Load, Mode
from tailrace.targets.warehouse.target import WarehouseTarget
from tailrace.testing.target_contract import HISTORY, Replica

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(3600)]

ALL = os.environ.get("FAULTS") == "all"
CONNECTIONS: tuple[Kind, ...] = ("data_api", "connector")
SWEEP = 3
# Mode, segments that are applied before, and the load in question.
SCENARIOS: dict[str, tuple[Mode, int, Callable[[Replica], Load]]] = {
    "creates": ("current", 0, lambda replica: replica.load(HISTORY[0])),
    "adds, widens, replaces": ("current", 2, lambda replica: replica.load(HISTORY[2])),
    "marks": ("soft_delete", 4, lambda replica: replica.load(HISTORY[4])),
    "appends": ("changelog", 4, lambda replica: replica.load(HISTORY[4])),
    "versions": ("history", 4, lambda replica: replica.load(HISTORY[4])),
    "sweeps": ("history", 2, lambda replica: replica.sweep(SWEEP, 2)),
}


@pytest.fixture
def place(aws: LocalAws, clients: dict[str, Any]) -> Iterator[Place]:
    place = Place(aws, clients)
    place.run("CREATE SCHEMA kept")
    yield place
    aws.clear_faults()


class Case:
    """A scenario in a place: what stood before, the load, and what stands after it where nothing happens."""

    def __init__(self, place: Place, scenario: str, kind: Kind = "connector") -> None:
        self.place = place
        self.mode, before, make = SCENARIOS[scenario]
        replica = Replica(place.target(kind), self.mode)
        for segment in HISTORY[:before]:
            replica.apply(segment)
        place.keep()
        self.before = place.state()
        self.load = make(replica)
        replica.target.apply(self.load)
        if scenario != "sweeps":
            replica.applied.update([HISTORY[before]])
            replica.check()
        self.after = place.state()
        assert self.after != self.before
        assert place.objects() == []

    def try_(self, target: WarehouseTarget) -> TailraceError | Died | None:
        """The load from where it began; what came of it. The table is as before, or as after."""
        try:
            target.apply(self.load)
        except (TailraceError, Died) as error:
            return error
        return None

    def is_applied(self) -> bool:
        self.place.settle()
        now = rows_of(self.place.state())
        assert now in (rows_of(self.before), rows_of(self.after)), (
            "rows and ledger are neither those before nor those after"
        )
        return now == rows_of(self.after)

    def repeat(self, kind: Kind) -> None:
        """Another process does it again, and nothing is left of the trouble."""
        again = self.place.target(kind)
        again.apply(self.load)
        self.place.settle()
        assert self.place.state() == self.after
        assert self.place.objects() == []


def rows_of(state: State) -> Any:
    """What must change at once: the places of rows and tombstones, and the ledger."""
    rows: Any = {}
    for table, (columns, found) in state.items():
        if table == "_tailrace_ledger":
            rows[table] = found
        elif "_tr_pos" in columns:
            wanted = [columns.index(name) for name in columns if name in ("pk", "_tr_pos", "_tr_op", "_tr_valid_to")]
            rows[table] = [tuple(row[at] for at in wanted) for row in found]
        elif table.startswith("_tailrace_tombstones"):
            rows[table] = found
    return {table: found for table, found in rows.items() if found}


# ---- every call to the Data API and to S3

READS = ("describe_statement", "list_statements", "get_statement_result", "execute_statement", "list_objects_v2")
WAYS = ("refused", "lost", "cut off", "cut off behind", "dies", "dies behind")


@pytest.mark.parametrize("scenario", SCENARIOS if ALL else ["adds, widens, replaces"])
def test_any_call_may_fail_or_be_the_last(place: Place, scenario: str) -> None:
    case = Case(place, scenario)
    place.reset()
    quiet = Trouble()
    assert case.try_(place.target("data_api", quiet)) is None
    assert place.state() == case.after
    assert len(quiet.calls) > 15
    for at, name in enumerate(quiet.calls):
        some = ("cut off", "dies")[at % 2 :][: at % 3 == 0] if name in READS else WAYS[3:]
        for how in WAYS if ALL else some:
            place.reset()
            error = case.try_(place.target("data_api", Trouble(how, at)))
            is_of_s3 = name in ("put_object", "delete_objects", "list_objects_v2")
            was_applied = case.is_applied()
            told = (at, name, how, repr(error), was_applied)
            if how in ("refused", "lost"):
                assert (error is None) == was_applied, told
                assert error is None or (is_of_s3 and isinstance(error, Transient)), told
            elif how.startswith("cut off"):
                assert isinstance(error, Transient) or was_applied, told
                assert not was_applied or error is None or isinstance(error, OutcomeUnknown), told
            else:
                assert isinstance(error, Died), told
            case.repeat("data_api")


@pytest.mark.parametrize("how", ["refused", "lost"])
def test_a_network_on_which_every_second_call_fails_is_slow_and_no_more(place: Place, how: str) -> None:
    case = Case(place, "adds, widens, replaces")
    place.reset()
    target = place.target("data_api", Trouble(how, None))
    for _ in range(10):  # of S3 botocore would repeat what we do not
        error = case.try_(target)
        assert error is None or isinstance(error, ServiceUnavailable)
        if error is None:
            break
    case.repeat("data_api")


# ---- every statement

KINDS = (
    "statement_refused",
    "serialization",
    "connection_lost",
    "reply_lost",
    "statement_timeout",
    "statement_cancelled",
)
FAR = 10**6


def statements(place: Place, run: Callable[[], object], verb: str | None = None) -> int:
    """How many SQL statements a run has, or how many that begin with this word."""
    place.aws.fault("statement_refused", table=place.name, operation=verb, skip=FAR)
    run()
    (fault,) = place.aws.faults()
    place.aws.clear_faults()
    return FAR - int(fault["skip"])


@pytest.mark.parametrize("kind", CONNECTIONS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_any_statement_may_fail_and_any_commit_may_go_unanswered(place: Place, scenario: str, kind: Kind) -> None:
    case = Case(place, scenario)
    place.reset()
    total = statements(place, lambda: case.try_(place.target(kind)))
    assert place.state() == case.after
    place.reset()
    commits = statements(place, lambda: case.try_(place.target(kind)), "COMMIT")
    assert total > 10
    assert commits >= 1
    turn = (list(SCENARIOS).index(scenario) + CONNECTIONS.index(kind)) % 2  # half of them each, all between both
    struck: list[tuple[str | None, int, str]] = [
        (None, at, fault)
        for at in range(total)
        for number, fault in enumerate(KINDS)
        if ALL or (at % 2 == turn and number == (at // 2 + turn) % len(KINDS))
    ]
    struck += [("COMMIT", at, "reply_lost") for at in range(commits) if ALL or at % 2 == turn or at == commits - 1]
    for verb, at, fault in struck:
        place.reset()
        place.aws.fault(fault, operation=verb, table=place.name, skip=at)
        error = case.try_(place.target(kind))
        assert place.aws.faults() == []
        was_applied = case.is_applied()
        told = (verb, at, fault, repr(error), was_applied)
        assert error is None or isinstance(error, TailraceError), told
        assert error is not None or was_applied, told
        assert error is None or not was_applied or isinstance(error, OutcomeUnknown), told
        case.repeat(kind)
