"""The bytes of a segment: equal lines give equal names, and nothing half reads as whole."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import SegmentCorrupt
from tailrace.landing import SegmentDraft, segments
from tailrace.landing.names import changes_name, quarantine_name
from tailrace.landing.segments import PIECE_BYTES, content_sha256, pack, unpacked
from tailrace.model.positions import SequenceNumber

LINES = st.lists(st.binary(max_size=50).map(lambda line: line.replace(b"\n", b" ")), max_size=50)
SOURCE = str(Path(segments.__file__).parents[2])


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(lines=LINES, size=st.integers(1, 64))
def test_what_is_packed_unpacks_from_pieces_of_any_size(lines: list[bytes], size: int) -> None:
    packed = pack(lines)
    plain = b"".join(line + b"\n" for line in lines)
    assert b"".join(unpacked(pieces(packed.data, size))) == plain == gzip.decompress(packed.data)
    assert packed.sha256 == hashlib.sha256(plain).hexdigest() == content_sha256([packed.data])


def test_equal_lines_give_equal_bytes_without_time_or_name() -> None:
    assert pack([b"{}"]) == pack([b"{}"])
    assert pack([b"{}"]).data[3:8] == bytes(5)  # flags and mtime


def test_another_compressor_changes_neither_name_nor_digest() -> None:
    code = """
        import importlib.abc, sys

        class Absent(importlib.abc.MetaPathFinder):
            def find_spec(self, name, *_):
                if name == "isal":
                    raise ModuleNotFoundError(name=name)

        sys.meta_path.insert(0, Absent())
        from tailrace.landing.segments import _deflate, pack
        print(pack([b'{"a":%d}' % n for n in range(1000)]).sha256, _deflate.__name__)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        check=True,
    )
    ours = pack([b'{"a":%d}' % number for number in range(1000)])
    assert run.stdout.decode().split() == [ours.sha256, "zlib"]


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 20])
def test_a_cut_object_is_never_taken_for_whole(cut: int) -> None:
    data = pack([b"x" * 100] * 100).data
    with pytest.raises(SegmentCorrupt):
        list(unpacked([data[:-cut]]))


@pytest.mark.parametrize("tail", [b"\0", b"garbage", gzip.compress(b"second member", mtime=0)])
@pytest.mark.parametrize("size", [1, 1000])
def test_bytes_behind_an_object_are_never_dropped_silently(tail: bytes, size: int) -> None:
    with pytest.raises(SegmentCorrupt):
        list(unpacked(pieces(pack([b"{}"]).data + tail, size)))


def test_nothing_is_not_an_object() -> None:
    with pytest.raises(SegmentCorrupt):
        list(unpacked([]))


def test_a_bomb_is_unpacked_in_bounded_pieces() -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = compressor.compress(bytes(50_000_000)) + compressor.flush()
    assert max(len(piece) for piece in unpacked([bomb])) <= PIECE_BYTES


def test_a_draft_without_lines_or_with_a_reversed_range_is_our_bug() -> None:
    one, two = SequenceNumber(1), SequenceNumber(2)
    for lines, first, last in (((), one, two), ((b"{}",), two, one)):
        with pytest.raises(ValueError, match="segment"):
            SegmentDraft("stream", lines, first, last, at_ms=0)


@pytest.mark.parametrize(
    ("at_ms", "folder"),
    [
        (0, "dt=1970-01-01/hr=00"),
        (1_795_323_599_999, "dt=2026-11-22/hr=04"),
        (1_795_323_600_000, "dt=2026-11-22/hr=05"),
    ],
)
def test_the_hour_is_utc_whatever_the_machine_says(monkeypatch: pytest.MonkeyPatch, at_ms: int, folder: str) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    assert changes_name(1, 2, "0123456789abcdef", at_ms) == f"changes/{folder}/1-2-01234567.json.gz"


def test_names_of_the_longest_numbers_fit_a_file_system() -> None:
    longest = changes_name(10**39, 10**40 - 1, "f" * 64, 0)
    assert len(quarantine_name(longest, 250_000, "f" * 64).split("/")[-1]) <= 255
