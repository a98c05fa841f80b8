"""A record set aside: why, where it came from, and its bytes as they were."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Final

from tailrace.model.documents import build

QUARANTINE_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """One record that cannot be represented. Format 1, ``docs/formats/quarantine.md``.

    `segment`, `line` and `offset`: where it lies in a segment. `shard`, `sequence_number`: met in capture.
    `epoch`: that it belongs to. `payload` is the line as it was; `cut`: only its first MiB was kept, so it cannot be replayed.
    """

    kind: str
    reason: str
    payload: bytes
    segment: str | None = None
    line: int | None = None
    offset: int | None = None
    shard: str | None = None
    sequence_number: str | None = None
    cut: bool = False
    epoch: int = 1

    def to_bytes(self) -> bytes:
        """One JSON line without a newline. It holds no time, so a retry gives equal bytes."""
        document: dict[str, object] = {
            "format": QUARANTINE_FORMAT,
            "kind": self.kind,
            "reason": self.reason,
            "segment": self.segment,
            "line": self.line,
            "offset": self.offset,
            "shard": self.shard,
            "sequence_number": self.sequence_number,
            "cut": self.cut,
            **({} if self.epoch == 1 else {"epoch": self.epoch}),
        }
        try:
            document["payload"] = self.payload.decode("utf-8")
        except UnicodeDecodeError:
            document["payload_base64"] = base64.b64encode(self.payload).decode("ascii")
        return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, line: bytes) -> QuarantinedRecord:
        """Read a line; ValueError when it is damaged or of a newer format."""
        try:
            document = json.loads(line)
            found = document.pop("format")
            if type(found) is not int or found != QUARANTINE_FORMAT:
                raise ValueError(f"format {found}, this release understands {QUARANTINE_FORMAT}")
            encoded = document.pop("payload_base64", None)
            payload = (
                document.pop("payload").encode("utf-8") if encoded is None else base64.b64decode(encoded, validate=True)
            )
            return build(cls, {**document, "payload": payload}, optional=("epoch",))
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a quarantined record: {error!r}") from error
