"""A record set aside: why, where it came from, and its bytes as they were."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """One record that cannot be represented. Format 1, ``docs/formats/quarantine.md``.

    `segment`, `line` and `offset` say where it lies in a segment; `shard` and `sequence_number` where capture met it.
    `payload` is the line as it was; `cut`: only its first MiB was kept, so it cannot be replayed.
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

    def to_bytes(self) -> bytes:
        """One JSON line without a newline; a payload that is no UTF-8 is base64. No clock: a retry gives equal bytes."""
        document: dict[str, object] = {"format": 1, "kind": self.kind, "reason": self.reason}
        for name in ("segment", "line", "offset", "shard", "sequence_number"):
            if (value := getattr(self, name)) is not None:
                document[name] = value
        if self.cut:
            document["cut"] = True
        try:
            document["payload"] = self.payload.decode("utf-8")
        except UnicodeDecodeError:
            document["payload_base64"] = base64.b64encode(self.payload).decode("ascii")
        return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, line: bytes) -> QuarantinedRecord:
        document = json.loads(line)
        document.pop("format")
        encoded = document.pop("payload_base64", None)
        payload = (
            base64.b64decode(encoded) if encoded is not None else document.pop("payload").encode("utf-8")
        )
        return cls(payload=payload, **document)
