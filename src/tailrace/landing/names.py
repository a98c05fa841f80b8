"""Names inside a store: what is allowed, and what a table's objects are called (``docs/formats/segment.md``)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from tailrace.errors import UsageInvalid

MANIFEST: Final = "manifest.json"
_TABLE = re.compile(r"[a-zA-Z0-9_.-]{3,255}", re.ASCII)  # DynamoDB's own rule


def check_name(name: str) -> str:
    """Refuse names that could leave the store or confuse it."""
    parts = name.split("/")
    if not name or "\0" in name or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise UsageInvalid(
            f"{name!r:.200} is not a name inside a store",
            hint="Use relative names without empty parts or dots.",
        )
    return name


def check_table(table: str) -> str:
    """A table name as DynamoDB allows it; it becomes a folder."""
    if _TABLE.fullmatch(table) is None or table in (".", ".."):
        raise UsageInvalid(
            f"{table!r:.80} is no DynamoDB table name",
            hint="3 to 255 characters: letters, digits, underscore, hyphen and dot.",
        )
    return table


def changes_name(first: int, last: int, sha256: str, at_ms: int) -> str:
    """``changes/dt=2026-11-22/hr=05/<first>-<last>-<8 hex>.json.gz``; the hour is UTC."""
    hour = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"changes/dt={hour:%Y-%m-%d}/hr={hour:%H}/{first}-{last}-{sha256[:8]}.json.gz"


def page_name(first_number: int, last_number: int, sha256: str) -> str:
    """An immutable page of old segment entries."""
    return f"manifest/{first_number}-{last_number}-{sha256[:8]}.json"


def quarantine_name(origin: str, sha256: str) -> str:
    """One object of set-aside records; `origin` says where they came from, ``/`` in it becomes ``.``."""
    return f"quarantine/{origin.replace('/', '.')}-{sha256[:8]}.json.gz"
