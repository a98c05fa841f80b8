"""What was found out about an installation: of whoever calls, its tables, its bucket, its targets. Frozen values, no judgement.

What could not be found out is an `Unknown` in its place, with the reason; None means that it is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody could tell: `message` and `hint` are those of the error that came instead. `is_refused`: for lack of permission."""

    message: str
    hint: str = ""
    is_refused: bool = False


Access: TypeAlias = Mapping[str, Unknown | None]
"""Calls that were tried, by their names: None where it worked."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, as AWS sees it; `clock_ahead_seconds`: how far our clock is ahead of AWS's, None where it did not say."""

    account: str
    arn: str
    clock_ahead_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """Of the parts; each as text. `codec`: which engine decodes."""

    python: str
    tailrace: str
    codec: str
    libraries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """Of a stream's shards: how many are open, and how many of those listed were split in two."""

    open_shards: int
    splits: int


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table. `view_type`: of its stream, empty where that is off. `recovery_days`: that point-in-time recovery reaches back.

    `ttl`: the attribute, empty where it is off. `insights`: whether CloudWatch Contributor Insights counts its keys.
    """

    table: str
    arn: str
    status: str
    items: int
    bytes: int
    view_type: str
    replicas: int
    recovery_days: int | Unknown | None
    ttl: str | Unknown
    insights: bool | Unknown
    stream: StreamFacts | Unknown | None
    access: Access = field(default_factory=dict)

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """What an enabled rule does to objects under `prefix` that carry no tags; empty prefix: to all.

    `deletes`: current versions go. `archives`: they go where they cannot be read at once. `aborts_uploads`: what was never
    completed is cleared away. `deletes_old_versions`: versions that were replaced go. `spares_landed`: only probes or a
    table's quarantine lie there, which may go.
    """

    prefix: str
    deletes: bool = False
    archives: bool = False
    aborts_uploads: bool = False
    deletes_old_versions: bool = False
    spares_landed: bool = False


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """The bucket of a landing zone, or of a staging area. `encryption`: ``AES256``, ``aws:kms`` or ``aws:kms:dsse``.

    `prefix` ends with a slash, or is empty. `ownership`: None where no controls are set. `blocks_public`: None where nothing
    is set on the bucket itself. `conditional_writes`: None where they were proved.
    """

    bucket: str
    prefix: str
    region: str | Unknown
    encryption: str | Unknown | None = None
    ownership: str | Unknown | None = None
    versioning: bool | Unknown = False
    lifecycle: tuple[LifecycleRule, ...] | Unknown = ()
    blocks_public: bool | Unknown | None = None
    conditional_writes: Unknown | None = None
    access: Access = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """A landing zone on local disk. `probed`: None where writes, links and locks were proved."""

    path: str
    exists: bool
    can_be_made: bool
    probed: Unknown | None = None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A DuckDB file. `opened`: None where it could be read, or does not exist."""

    path: str
    exists: bool
    is_writable: bool
    opened: Unknown | None = None


@dataclass(frozen=True, slots=True)
class SchemaFacts:
    """A schema of a server. `may_create`, `may_use`: None where there is no such schema."""

    schema: str
    user: str
    version: str
    may_create: bool | None
    may_use: bool | None
