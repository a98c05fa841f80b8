"""What the tests of decoding share: run a decoder, and what came of it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa

from tailrace import codec
from tailrace.codec import META_FIELDS, Engine, Rejected
from tailrace.model.schema import Seen

JSON_KINDS = {"invalid_utf8", "not_json", "duplicate_name", "lone_surrogate"}  # these come before all others
HAS_NATIVE = importlib.util.find_spec("tailrace_core") is not None


@dataclass(frozen=True)
class Outcome:
    """What decoding gave: the unified table and the batches it came from."""

    table: pa.Table
    batches: list[pa.RecordBatch]
    rows: int
    seen: Seen
    rejected: tuple[Rejected, ...]

    @property
    def values(self) -> list[dict[str, Any]]:
        """The attributes of each row under ``name:tag``; absent ones left out."""
        names = [f"{name}:{tag}" for name, tag in codec.decoded_columns(self.table.schema)]
        columns = [column.to_pylist() for column in self.table.columns[len(META_FIELDS) :]]
        rows = zip(*columns, strict=True) if columns else [()] * self.table.num_rows
        return [{n: v for n, v in zip(names, row, strict=True) if v is not None} for row in rows]

    @property
    def kinds(self) -> list[str]:
        return [rejected.kind for rejected in self.rejected]

    def meta(self, name: str) -> list[Any]:
        return self.table.column(META_FIELDS.index(name)).to_pylist()

    def types(self) -> dict[str, str]:
        """The Arrow type of each column, under ``name:tag``."""
        fields = list(self.table.schema)[len(META_FIELDS) :]
        columns = codec.decoded_columns(self.table.schema)
        return {f"{name}:{tag}": str(field.type) for (name, tag), field in zip(columns, fields, strict=True)}


def line(document: Any) -> bytes:
    """A record as a line without its newline."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def items(*typed: Any) -> bytes:
    """Base rows, each with the one attribute ``a``."""
    return b"\n".join(line({"Item": {"a": value}}) for value in typed)


def run(engine: Engine, data: bytes, cuts: Iterable[int] = (), prefix: str = "0001|1|", **options: Any) -> Outcome:
    """Decode `data`, pushed in pieces that end at `cuts`."""
    decoder = engine.decoder(prefix, **options)
    batches = []
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        batches += decoder.push(data[start:end])
    batches += decoder.finish()
    table = codec.unify(batches, decoder.seen, options.get("known"))
    assert table.num_rows == decoder.rows
    table.validate(full=True)
    return Outcome(table, batches, decoder.rows, decoder.seen, decoder.rejected)


def assert_equal(left: Outcome, right: Outcome) -> None:
    """Two codecs gave the same. A line with several faults may be rejected for any of them, JSON's before the others."""
    assert left.table.schema.equals(right.table.schema, check_metadata=True)
    assert left.table.equals(right.table)
    assert dict(left.seen) == dict(right.seen)
    assert (left.rows, len(left.rejected)) == (right.rows, len(right.rejected))
    for ours, theirs in zip(left.rejected, right.rejected, strict=True):
        assert (ours.line, ours.offset, ours.raw, ours.cut) == (theirs.line, theirs.offset, theirs.raw, theirs.cut)
        assert (ours.kind in JSON_KINDS) == (theirs.kind in JSON_KINDS), (ours.kind, theirs.kind, ours.raw[:200])
        assert (ours.kind == "line_too_long") == (theirs.kind == "line_too_long")
