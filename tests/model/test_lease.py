"""The loader lease as a document: what was written is read for ever, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.errors import ManifestInvalid
from tailrace.model.lease import Lease

GOLDEN = (Path(__file__).parent / "leases" / "format-1.json").read_bytes()


def test_what_earlier_releases_wrote_is_read_and_written_alike() -> None:
    lease = Lease.from_bytes(GOLDEN)
    assert lease == Lease(412, "db1.example.com/4026531836/4711/9f3a0c1d", 1_790_000_000_000, 1_790_000_031_250)
    assert lease.to_bytes() == GOLDEN
    assert Lease.from_bytes(Lease().to_bytes()) == Lease()


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{}", b"[]", b"null", b"\xff", GOLDEN[:-9]),
        GOLDEN.replace(b'"format": 1', b'"format": 2'),
        GOLDEN.replace(b"412", b"-1"),
        GOLDEN.replace(b"412", b"4.5"),
        GOLDEN.replace(b"412", b"true"),
        GOLDEN.replace(b'"fence": 412, ', b""),
        GOLDEN.replace(b'"fence"', b'"fense": 1, "fence"'),
        GOLDEN.replace(b'"db1.example.com/4026531836/4711/9f3a0c1d"', b"7"),
    ],
)
def test_another_document_is_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(ManifestInvalid, match="The loader lease cannot be understood") as caught:
        Lease.from_bytes(data)
    assert "that costs no row" in caught.value.hint
