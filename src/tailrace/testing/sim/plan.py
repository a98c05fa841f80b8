"""What a seed decides: how the world is, what happens in it, and where it strikes. Drawn whole before anything runs.

So a history is data: it can be replayed, and made smaller by leaving out what does not matter.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

# scan: a stream, and a base that is scanned; repair: a stream with backups, with a base or without
Capture: TypeAlias = Literal["stream", "scan", "repair", "tiling", "sliding"]
CAPTURES: Final[Sequence[Capture]] = (  # of eight seeds
    *("stream", "stream", "stream", "repair"),
    *("scan", "scan", "tiling", "sliding"),
)
BaseKind: TypeAlias = Literal["none", "scan", "export"]
ACTIONS_MIN: Final = 40
ACTIONS_MAX: Final = 110
EFFECTS_STRUCK: Final = 1000  # strikes come so far; few histories have more effects

# What may happen beside the work itself, by trouble: a history has some of them on, the others off.
COMMON: Final[Mapping[str, float]] = {"sleep": 1, "crash": 0.7, "bad_value": 0.5, "ttl": 0.7}
OF_STREAMS: Final[Mapping[str, float]] = {
    "split": 1.5,
    "roll": 1,
    "hide": 0.7,
    "empty": 0.7,
    "poison": 0.7,
    "fail": 1,
    "expire": 0.7,
    "deny": 0.5,
    "unlist": 0.7,
    "age": 0.6,
    "vanish": 0.5,
    "digits": 0.5,
    "disorder": 0.2,
    "replace": 0.15,
}
OF_EXPORTS: Final[Mapping[str, float]] = {
    "same": 1,
    "export_fails": 0.7,
    "export_damage": 0.7,
    "export_slow": 0.7,
    "recovery_off": 0.15,
    "recovery_short": 0.3,
    "refuse": 0.7,
    "forbid": 0.4,
    "recreate": 0.1,
}
OF_SCANS: Final[Mapping[str, float]] = {**OF_STREAMS, "scan_fails": 1}
# Without "disorder": what its refused shard needs is asked for by nobody here.
OF_REPAIRS: Final[Mapping[str, float]] = {
    **{name: share for name, share in OF_SCANS.items() if name != "disorder"},
    **{name: share for name, share in OF_EXPORTS.items() if name not in ("same", "recreate")},
    "ask": 1,
}
WORK: Final[Mapping[str, float]] = {"write": 6, "capture": 9, "load": 4, "flush": 0.7, "tick": 0.4}
WORK_OF_REPAIRS: Final[Mapping[str, float]] = {"repair": 6}
ALWAYS_IN_REPAIRS: Final = ("repair", "ask", "sleep")
HEAVY: Final = 5.0  # of one trouble, in some histories
STRIKES: Final = (
    *("error", "crash_before", "crash_after"),
    *("lost_answer", "lost_request", "late_request"),
    *("pause", "pause_after"),
)
SHARES: Final = (0.0, 0.004, 0.02, 0.1)


class Bits:
    """A number that choices are taken from, so that an action is the same whatever happened before it."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def below(self, limit: int) -> int:
        self._bits, chosen = divmod(self._bits, limit)
        return chosen

    def of(self, options: Sequence[Any]) -> Any:
        return options[self.below(len(options))]

    def one_in(self, count: int) -> bool:
        return self.below(count) == 0


@dataclass(frozen=True, slots=True)
class Action:
    """Something that happens between effects: work that begins, a write, a trouble."""

    kind: str
    bits: int


@dataclass(frozen=True, slots=True)
class Strike:
    """What befalls the first effect from the `at`-th on: a fault of `testing.faults`, a request that arrives late, or a pause."""

    at: int
    kind: str
    bits: int


@dataclass(frozen=True, slots=True)
class ExportSetup:
    """How the exports of a table are. `step` in seconds: less than the width of 900 slides."""

    step: int
    lag_seconds: int
    export_seconds: int
    equal_images: bool
    partitions: int
    enable_recovery: bool


@dataclass(frozen=True, slots=True)
class ScanSetup:
    """How the base of a table is scanned: in so many segments and pages, so many items there before capture began."""

    segments: int
    page_items: int
    items: int
    flush_seconds: float


@dataclass(frozen=True, slots=True)
class Setup:
    """How the world of a history is made."""

    capture: Capture
    processes: int
    keys: int
    shards: int
    first_number: int
    page_records: int
    repeats: int
    flush_seconds: float
    flush_bytes: int
    buffer_bytes: int
    load_segments: int
    load_rows: int
    skew_ms: tuple[int, ...]  # of each process's clock
    pages_early: bool  # manifests move old entries to pages after a handful
    decodes_ahead: bool
    hands_manifest_on: bool  # from capture to the loader of the same process
    has_leases: bool  # loaders take one, else several work side by side more often
    exports: ExportSetup | None  # where there is no stream, or backups beside it
    scan: ScanSetup | None  # of its base, where there may be one
    base: BaseKind | None  # of a table that may be repaired
    is_old: bool  # it was consistent for a while before anything happens
    compact_seconds: float | None  # the grace of what was compacted; None: nobody compacts
    restarts: bool  # at the end another process takes over, else all go on
    troubles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole history, before it runs."""

    seed: int
    setup: Setup
    actions: tuple[Action, ...]
    strikes: tuple[Strike, ...]


def draw(seed: int) -> Plan:
    """The history of a seed. Each draws which kinds of trouble there are, and how often (a swarm)."""
    dice = random.Random(seed)
    setup = _draw_setup(dice, CAPTURES[seed % len(CAPTURES)], has_leases=seed // len(CAPTURES) % 4 == 3)
    kinds: dict[str, float] = {
        **WORK,
        **{kind: share for kind, share in _troubles(setup.capture).items() if kind in setup.troubles},
    }
    if setup.scan is not None:
        kinds["backfill"] = 5
    if setup.compact_seconds is not None:
        kinds |= {"compact": 3, "hour": 1}
    heavy = dice.choice(setup.troubles) if setup.troubles and dice.random() < 0.3 else None
    kinds |= {} if heavy is None else {heavy: HEAVY}
    count = dice.randint(ACTIONS_MIN, ACTIONS_MAX)
    names = dice.choices(list(kinds), list(kinds.values()), k=count)
    actions = tuple(Action(name, dice.getrandbits(60)) for name in names)
    return Plan(seed, setup, actions, _draw_strikes(dice))


def _troubles(capture: Capture) -> Mapping[str, float]:
    if capture in ("tiling", "sliding"):
        return {**COMMON, **OF_EXPORTS}
    if capture == "repair":
        return {**COMMON, **OF_REPAIRS, **WORK_OF_REPAIRS}
    return {**COMMON, **(OF_SCANS if capture == "scan" else OF_STREAMS)}


def _draw_exports(dice: random.Random, capture: Capture) -> ExportSetup | None:
    if capture in ("stream", "scan"):
        return None
    return ExportSetup(
        step=900 if capture == "tiling" else dice.choice([300, 450]),
        lag_seconds=dice.choice([0, 60, 300]),
        export_seconds=dice.choice([60, 300, 1200]),
        equal_images=dice.random() < 0.5,
        partitions=dice.choice([1, 2, 3]),
        enable_recovery=dice.random() < 0.5,
    )


def _draw_scan(dice: random.Random, capture: Capture) -> ScanSetup | None:
    if capture not in ("scan", "repair"):
        return None
    return ScanSetup(
        segments=dice.choice([1, 2, 3]),
        page_items=dice.choice([1, 2, 100]),
        items=dice.choice([0, 3, 8]),
        flush_seconds=dice.choice([0.0, 2.0, 30.0]),
    )


def _draw_setup(dice: random.Random, capture: Capture, *, has_leases: bool) -> Setup:
    troubles = _troubles(capture)
    some = dice.choice([0.1, 0.3, 0.6])
    processes = dice.choice([1, 2, 2, 3])
    is_skewed = dice.random() < 0.1
    # More than five minutes AWS would refuse. Where time alone tells what was lost or belongs to a repair, they are relied on.
    skew_ms = 3_600_000 if capture in ("tiling", "sliding") else 300_000
    chosen = [name for name in troubles if dice.random() < some]
    if capture == "repair":
        chosen += [name for name in ALWAYS_IN_REPAIRS if name not in chosen]
        chosen += [] if {"age", "vanish", "replace"} & {*chosen} else ["age"]
    if "disorder" in chosen:  # where the shards in between were lost, nobody could tell that numbers went back
        chosen = [name for name in chosen if name not in ("age", "vanish")]
    return Setup(
        capture=capture,
        exports=_draw_exports(dice, capture),
        scan=_draw_scan(dice, capture),
        base=dice.choice(["none", "scan", "scan", "export"]) if capture == "repair" else None,
        is_old=capture == "repair" and dice.random() < 0.7,
        compact_seconds=dice.choice([None, None, 60.0, 25 * 3600.0]),
        processes=processes,
        keys=dice.choice([1, 2, 3, 5, 8]),
        shards=dice.choice([1, 1, 2, 3]),
        first_number=dice.choice([10**21 - 300_000_000, 10**21 - 3_000_000, 10**22 - 5_000_000, 10**39 - 5_000_000]),
        page_records=dice.choice([1, 2, 5, 1000]),
        repeats=dice.choice([0, 0, 0, 2]),
        flush_seconds=dice.choice([0.0, 0.0, 0.5, 30.0]),
        flush_bytes=dice.choice([300, 1 << 20]),
        buffer_bytes=dice.choice([400, 1 << 20]),
        load_segments=dice.choice([1, 3, 500]),
        load_rows=dice.choice([1, 5, 250_000]),
        skew_ms=tuple(dice.randint(-skew_ms, skew_ms) if is_skewed else 0 for _ in range(processes)),
        decodes_ahead=dice.random() < 0.3,
        pages_early=dice.random() < 0.25,
        hands_manifest_on=dice.random() < 0.5,
        has_leases=has_leases,
        restarts=dice.random() < 0.3,
        troubles=tuple(chosen),
    )


def _draw_strikes(dice: random.Random) -> tuple[Strike, ...]:
    """Each kind of fault has a rate of its own; pauses are where interleavings come from, so they are common."""
    rates = {kind: dice.choice(SHARES) if dice.random() < 0.5 else 0.0 for kind in STRIKES}
    rates["pause"] = dice.choice([0.0, 0.02, 0.06, 0.15])
    rates["pause_after"] = dice.choice([0.0, 0.0, 0.02, 0.06])
    total = sum(rates.values())
    if not total:
        return ()
    strikes, at = [], 0.0
    kinds, weights = list(rates), list(rates.values())
    while (at := at + 1 + dice.expovariate(total)) < EFFECTS_STRUCK:
        strikes.append(Strike(int(at), dice.choices(kinds, weights)[0], dice.getrandbits(30)))
    return tuple(strikes)
