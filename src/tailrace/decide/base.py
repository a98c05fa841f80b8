"""How far the base of a table has come, and when a reader may take the target for the table. Values in, values out.

While a base is read the stream goes on, and every change wins over every base row. So a key may show a newer image from the
base first, and an older change of it afterwards: it steps back, until the stream has come past the moment the base was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tailrace.model.manifest import Manifest, TableState

# A record may appear in the stream a little after its write can be read, and moments of AWS are whole seconds.
HANDOVER_MARGIN_MS: Final = 2_000
# An exported base must lie behind the moment when every shard was on record: AWS refuses clocks more than five minutes off.
EXPORT_MARGIN_MS: Final = 301_000


@dataclass(frozen=True, slots=True)
class Base:
    """The base of an epoch. `shows_ms`: no row of it is newer; None while it is being read. `last_number`: its last segment."""

    shows_ms: int | None
    last_number: int


def base_of(manifest: Manifest) -> Base | None:
    """The base that is on record for the present epoch."""
    epoch, scan, export, repair = manifest.epoch, manifest.scan, manifest.base_export, manifest.repair
    last = 0 if repair is None or repair.epoch != epoch else repair.last_number  # a sweep comes behind the base
    if repair is not None and repair.epoch == epoch and repair.kind == "window":
        is_done = repair.finished_ms is not None and repair.end is not None
        return Base(repair.finished_ms if is_done else None, last)
    if scan is not None and scan.epoch == epoch:
        return Base(scan.finished_ms, max(scan.last_number, last))
    if export is not None and export.epoch == epoch:
        return Base(None if export.moment is None else export.moment * 1000, max(export.last_number, last))
    return None


def is_base_read(manifest: Manifest) -> bool:
    """Nothing is left to scan or export for the present epoch: it is complete, or a repair brings single windows instead."""
    base = base_of(manifest)
    return manifest.epoch_kind == "repair" or (base is not None and base.shows_ms is not None)


def base_stage(
    manifest: Manifest, *, is_wanted: bool, through_ms: int | None, applied_through: int | None = None
) -> TableState | None:
    """What the base leaves to wait for; None: nothing.

    `is_wanted`: there is to be one, though it may not be on record yet. `through_ms`: every change before it is captured, or,
    with `applied_through`, applied.
    """
    base = base_of(manifest)
    if base is None:
        return "CAPTURING" if is_wanted else None
    if base.shows_ms is None or (applied_through is not None and applied_through < base.last_number):
        return "BASE_LOADING"
    return None if is_past(base, through_ms) else "CATCHING_UP"


def is_past(base: Base, through_ms: int | None) -> bool:
    """Whether changes before `through_ms` bring every key to where the base had it, or further."""
    return base.shows_ms is not None and through_ms is not None and through_ms > base.shows_ms + HANDOVER_MARGIN_MS
