"""Which objects of the landing zone an event tells of. Knows the shapes of events, no table. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus


@dataclass(frozen=True, slots=True)
class CreatedObject:
    """One object that was written. `key` is counted from the bucket's root."""

    bucket: str
    key: str

    @property
    def place(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def created_objects(event: Any) -> Iterator[CreatedObject]:
    """Of an S3 notification, whose keys are URL-encoded, or of EventBridge, where they are not.

    Nothing for S3's test event and for whatever else is no news of an object.
    """
    if not isinstance(event, Mapping):
        return
    detail = event.get("detail")
    if event.get("detail-type") == "Object Created" and isinstance(detail, Mapping):
        yield CreatedObject(str(detail["bucket"]["name"]), str(detail["object"]["key"]))
    records = event.get("Records")
    for record in records if isinstance(records, list) else ():
        if isinstance(record, Mapping) and str(record.get("eventName", "")).startswith("ObjectCreated:"):
            s3 = record["s3"]
            yield CreatedObject(str(s3["bucket"]["name"]), unquote_plus(str(s3["object"]["key"])))


def segment_of(created: CreatedObject, bucket: str, prefix: str) -> tuple[str, str] | None:
    """The table and the name in its folder, where the object is a segment below this prefix; else None."""
    inside = f"{prefix}/" if prefix else ""
    if created.bucket != bucket or not created.key.startswith(inside):
        return None
    table, _, name = created.key.removeprefix(inside).partition("/")
    return (table, name) if name.startswith(("changes/", "base/")) else None
