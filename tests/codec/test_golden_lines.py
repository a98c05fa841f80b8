"""Awkward files decode to the same rows and the same report for ever: one folder a format, never changed again.

After a wanted change of the contract, ``python tests/codec/test_golden_lines.py`` writes what the reference says now; the
difference is then read line by line. A new fault goes into a new file.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from decoding import Outcome, run

from tailrace.codec import META_FIELDS, engine

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*/*.ndjson"))


def as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [as_json(member) for member in value]
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def document(outcome: Outcome) -> dict[str, Any]:
    """Everything that the contract promises, as JSON."""
    meta = zip(*(outcome.meta(name) for name in META_FIELDS), strict=True)
    seen = sorted((name, tag, s.count, s.numbers) for (name, tag), s in outcome.seen.items())
    return {
        "types": outcome.types(),
        "rows": [
            [*fields, {name: as_json(value) for name, value in row.items()}]
            for fields, row in zip(meta, outcome.values, strict=True)
        ],
        "seen": [[n, t, count, r and [r.int64, r.whole_digits, r.scale]] for n, t, count, r in seen],
        "rejected": [[r.line, r.offset, r.kind] for r in outcome.rejected],
    }


def write(path: Path, value: dict[str, Any]) -> None:
    """One row, type or rejection a line, so that a difference is readable."""
    lists = {name: value[name] for name in ("rows", "seen", "rejected")}
    parts = [f'"types":{json.dumps(value["types"])}']
    parts += [f'"{name}":[\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in lists.items()]
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("batch_bytes", [1, 500, 8 << 20])
def test_awkward_files_decode_as_ever(decode: Callable[..., Outcome], path: Path, batch_bytes: int) -> None:
    expected = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    data = path.read_bytes()
    assert document(decode(data, batch_bytes=batch_bytes)) == expected
    assert document(decode(gzip.compress(data), batch_bytes=batch_bytes)) == expected


if __name__ == "__main__":
    for file in FILES:
        write(file.with_suffix(".expected.json"), document(run(engine("python"), file.read_bytes())))
