"""Every error that crosses a border of Tailrace. Knows no client library and does no I/O.

::

    TailraceError
      + UserFault        change something first; retrying is useless
      |   ConfigInvalid, UsageInvalid, PermissionMissing, NotFound, StreamViewUnsupported, StoreUnsupported, TargetBusy,
      |   AlreadyExists
      + Transient        repeat the same call
      |   Throttled, StateContended, OutcomeUnknown, ServiceUnavailable, IteratorExpired, TargetContended, LoaderBusy,
      |   LoaderFenced, OutOfTime
      + GapFound         changes are missing; repair or new base
      |   StreamTrimmed, SourceChanged, SegmentMissing, WindowMissing
      + DataInvalid      this file or record is wrong
          RecordInvalid, SegmentCorrupt, ManifestInvalid, OrderConflict, ExportInvalid

The branch is the instruction. `code` is stable and documented in ``docs/errors.md``; `hint` is the operator's
next step in one sentence; `facts` say where (table, file, line, position …) and are shown in this order.
"""

from __future__ import annotations

from typing import Any, ClassVar


class TailraceError(Exception):
    """What happened, where, and what to do next."""

    code: ClassVar[str] = "TAILRACE-000"

    def __init__(self, message: str, *, hint: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = {name: value for name, value in facts.items() if value is not None}

    def __str__(self) -> str:
        where = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.message} ({where})" if where else self.message


class UserFault(TailraceError):
    """Something must be changed first; retrying is useless."""

    code = "TAILRACE-100"


class ConfigInvalid(UserFault):
    """The configuration file or an environment value in it is wrong."""

    code = "TAILRACE-101"


class UsageInvalid(UserFault):
    """A command was called with arguments that do not fit together."""

    code = "TAILRACE-102"


class PermissionMissing(UserFault):
    """AWS refused a call: facts name the action and the resource."""

    code = "TAILRACE-103"


class NotFound(UserFault):
    """A table, bucket, object or segment that was named does not exist."""

    code = "TAILRACE-104"


class StreamViewUnsupported(UserFault):
    """The table has no stream, or its view type does not carry new images."""

    code = "TAILRACE-105"


class StoreUnsupported(UserFault):
    """The landing store does not honour conditional writes, so nothing can be kept exact on it."""

    code = "TAILRACE-106"


class TargetBusy(UserFault):
    """The target is held by another program for longer than we wait."""

    code = "TAILRACE-107"


class AlreadyExists(UserFault):
    """A create-only write found another content under its name."""

    code = "TAILRACE-108"


class Transient(TailraceError):
    """Repeat the same call after a pause."""

    code = "TAILRACE-200"


class Throttled(Transient):
    """The service asked for a slower pace."""

    code = "TAILRACE-201"


class StateContended(Transient):
    """Another worker published first: read the manifest again and go on from there."""

    code = "TAILRACE-202"


class OutcomeUnknown(Transient):
    """A write may or may not have happened: look before repeating it."""

    code = "TAILRACE-203"


class ServiceUnavailable(Transient):
    """A 5xx answer or a broken connection."""

    code = "TAILRACE-204"


class IteratorExpired(Transient):
    """A shard iterator is older than 15 minutes: take a new one after the mark."""

    code = "TAILRACE-205"


class TargetContended(Transient):
    """Another transaction was in the way in a target, and nothing of this one was done: a deadlock, a serialization error."""

    code = "TAILRACE-206"


class LoaderBusy(Transient):
    """Another loader holds the lease of a table in a target."""

    code = "TAILRACE-207"


class LoaderFenced(Transient):
    """A loader that took over has loaded since this one took its lease, so nothing of this load was applied: look again."""

    code = "TAILRACE-208"


class OutOfTime(Transient):
    """The caller's time is up. What was begun goes on without it or was undone, and the next tick goes on from there."""

    code = "TAILRACE-209"


class GapFound(TailraceError):
    """Changes are known to be missing. Recorded in the manifest before anything else happens."""

    code = "TAILRACE-300"


class StreamTrimmed(GapFound):
    """The position to read from is older than the stream's 24 hours."""

    code = "TAILRACE-301"


class SourceChanged(GapFound):
    """Another table, stream or key schema answers under the same name."""

    code = "TAILRACE-303"


class SegmentMissing(GapFound):
    """A segment that the manifest lists is not in the store."""

    code = "TAILRACE-304"


class WindowMissing(GapFound):
    """Point-in-time recovery no longer covers the next window: it was switched off, or reset, or fell too far behind."""

    code = "TAILRACE-305"


class DataInvalid(TailraceError):
    """This file or record is wrong."""

    code = "TAILRACE-400"


class RecordInvalid(DataInvalid):
    """One record cannot be represented; it goes to quarantine."""

    code = "TAILRACE-401"


class SegmentCorrupt(DataInvalid):
    """A file is cut, damaged, or not what the manifest says. Nothing of it is applied."""

    code = "TAILRACE-402"


class ManifestInvalid(DataInvalid):
    """A manifest cannot be understood, or a newer release wrote it."""

    code = "TAILRACE-403"


class OrderConflict(DataInvalid):
    """Two different contents under one key and one position: corruption, and never a matter of choice."""

    code = "TAILRACE-404"


class ExportInvalid(DataInvalid):
    """An export's manifests or files are missing, damaged, or do not fit together. Nothing of it is used."""

    code = "TAILRACE-405"
