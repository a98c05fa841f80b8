"""Names inside a store: what is allowed, and what a table's objects are called. Does no I/O."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from tailrace.errors import UsageInvalid

MANIFEST: Final = "manifest.json"
QUARANTINE: Final = "quarantine/"
OWN_FOLDER: Final = ".tailrace"  # of the store itself: probes, temporary files, locks; never listed
_TABLE = re.compile(r"[a-zA-Z0-9_.-]{3,255}", re.ASCII)  # DynamoDB's own rule
_SEVERAL = re.compile(r"-([1-9][0-9]{0,17})x-[0-9a-f]{8}\.json\.gz\Z", re.ASCII)
_CHANGES = re.compile(
    r"changes/dt=[0-9]{4}-[0-9]{2}-[0-9]{2}/hr=[0-9]{2}/[0-9]{1,40}-[0-9]{1,40}-[0-9a-f]{8}\.json\.gz", re.ASCII
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


def check_name(name: str) -> str:
    """Refuse names that could leave the store, or that a file system and S3 would read differently."""
    if not name or _CONTROL.search(name) or any(part in ("", ".", "..") for part in name.split("/")):
        raise UsageInvalid(
            f"{name!r:.200} is not a name inside a store",
            hint="Use a relative name without empty parts, dot folders, backslashes or control characters.",
        )
    return name


def check_table(table: str) -> str:
    """A table name as DynamoDB allows it; it becomes a folder."""
    if _TABLE.fullmatch(table) is None or table == OWN_FOLDER:
        raise UsageInvalid(
            f"{table!r:.80} is no DynamoDB table name that can be a folder",
            hint="3 to 255 characters: letters, digits, underscore, hyphen and dot.",
        )
    return table


def is_segment(name: str) -> bool:
    """Whether an object of a table's folder, by its name there, could hold records that a segment lists."""
    return name.endswith(".json.gz") and not name.startswith(QUARANTINE)


def is_own(name: str) -> bool:
    """Housekeeping of the store itself, which no listing shows."""
    return name.startswith(f"{OWN_FOLDER}/")


def may_expire(prefix: str) -> bool:
    """Whether nothing that has landed lies under a prefix of a landing zone's names: probes, or a table's quarantine."""
    table, _, below = prefix.partition("/")
    return is_own(prefix) or (bool(table) and below.startswith(QUARANTINE))


def changes_name(first: int, last: int, sha256: str, at_ms: int) -> str:
    """``changes/dt=2026-11-22/hr=05/<first>-<last>-<8 hex>.json.gz``; the hour is UTC."""
    hour = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"changes/dt={hour:%Y-%m-%d}/hr={hour:%H}/{first}-{last}-{sha256[:8]}.json.gz"


def is_changes(name: str) -> bool:
    """Whether `changes_name` can have given this name."""
    return _CHANGES.fullmatch(name) is not None


def hour_of(name: str) -> int:
    """When the hour of such a name begins, Unix ms. Raises ValueError for a day that there is not."""
    day = datetime.strptime(name[len("changes/dt=") :][:10], "%Y-%m-%d").replace(tzinfo=UTC)
    return (int(day.timestamp()) + 3600 * int(name.split("/")[2].removeprefix("hr="))) * 1000


def day_folders(first_ms: int, last_ms: int) -> tuple[str, ...]:
    """Where the hours of these moments lie and of all between, a folder a day, in order."""
    first, last = (datetime.fromtimestamp(ms // 1000, UTC).date() for ms in (first_ms, last_ms))
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return tuple(f"changes/dt={day:%Y-%m-%d}/" for day in days)


def base_name(epoch: int, scan_segment: int, page: int, sha256: str) -> str:
    """``base/<epoch>/<scan_segment>-<page>-<8 hex>.json.gz``: rows of one scan segment from this page on."""
    return f"base/{epoch}/{scan_segment}-{page}-{sha256[:8]}.json.gz"


def compacted_name(folder: str, first_number: int, last_number: int, sha256: str) -> str:
    """Many segments of one folder in one object, which stands beside them."""
    return f"{folder}/compacted-{first_number}-{last_number}-{sha256[:8]}.json.gz"


def keys_name(epoch: int, sha256: str) -> str:
    """Items of single keys, read from the table itself, as part of a base."""
    return f"base/{epoch}/keys-{sha256[:8]}.json.gz"


def sweep_name(epoch: int, sha256: str) -> str:
    """The empty object of a sweep: behind it nothing of older epochs is left."""
    return f"base/{epoch}/sweep-{sha256[:8]}.json.gz"


def page_name(first_number: int, last_number: int, sha256: str) -> str:
    """An immutable page of old segment entries."""
    return f"manifest/{first_number}-{last_number}-{sha256[:8]}.json"


def settled_name(folder: str, sha256: str) -> str:
    """Rows read from the table itself to settle an export's window, in the window's folder."""
    return f"{folder}/settled-{sha256[:8]}.json.gz"


def lease_name(target: str) -> str:
    """Who loads into a target; any name of one is a name here."""
    return f"loaders/{quote(target, safe='')}.json"


def quarantine_name(origin: str, records: int, sha256: str) -> str:
    """One object of set-aside records. `origin` is where they came from: a segment's name, or a word."""
    several = f"-{records}x" if records > 1 else ""
    return f"{QUARANTINE}{origin.removesuffix('.json.gz').replace('/', '.')}{several}-{sha256[:8]}.json.gz"


def quarantined_in(name: str) -> int:
    """How many records an object of set-aside ones holds, from its name; of one that says nothing at least this one."""
    several = _SEVERAL.search(name)
    return 1 if several is None else int(several[1])
