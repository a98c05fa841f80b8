"""The loader lease: who loads a table into a target. Format 1 is described in ``docs/formats/lease.md``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from tailrace.errors import ManifestInvalid
from tailrace.model.documents import build, parse

LEASE_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Lease:
    """`fence` grows with each taking, and a target refuses a load with a smaller one than it has seen.

    `holder`: the process that loads, None: nobody does. It has held the lease since `since_ms` and holds it until `until_ms`,
    unless it renews it or gives it back; both in Unix milliseconds, by its own clock.
    """

    fence: int = 0
    holder: str | None = None
    since_ms: int = 0
    until_ms: int = 0

    def __post_init__(self) -> None:
        if self.fence < 0:
            raise ValueError(f"a fence of {self.fence}")

    def to_bytes(self) -> bytes:
        document = {
            "format": LEASE_FORMAT,
            "fence": self.fence,
            "holder": self.holder,
            "since_ms": self.since_ms,
            "until_ms": self.until_ms,
        }
        return json.dumps(document).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Lease:
        """Raises ManifestInvalid for another format, or where it is no lease."""
        try:
            document: dict[str, Any] = parse(data)
            if document["format"] != LEASE_FORMAT:
                raise ValueError(f"it has format {document['format']!r:.40}, this release understands {LEASE_FORMAT}")
            return build(cls, {name: value for name, value in document.items() if name != "format"})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ManifestInvalid(
                f"The loader lease cannot be understood: {error!r:.200}",
                hint="Upgrade this Tailrace to the release that wrote it, or delete the object: that costs no row.",
            ) from error
