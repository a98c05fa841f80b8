"""Bytes to lines: gzip, its damages, and where a line ends."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from decoding import Outcome
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.codec import Engine
from tailrace.codec.reference import GZIP_MAGIC
from tailrace.errors import SegmentCorrupt

Decode = Callable[..., Outcome]


def item(text: str = "x") -> bytes:
    return b'{"Item":{"a":{"S":"%s"}}}' % text.encode()


LINES = b"".join(item(str(i)) + b"\n" for i in range(200))
NAMED_HEADER = gzip.GzipFile("n" * 60_000, "wb", fileobj=(named := io.BytesIO()), mtime=0)
NAMED_HEADER.write(LINES)
NAMED_HEADER.close()


def texts(outcome: Outcome) -> list[str]:
    return [row["a:S"] for row in outcome.values]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LINES, id="plain"),
        pytest.param(gzip.compress(LINES), id="gzip"),
        pytest.param(gzip.compress(LINES[:1000]) + gzip.compress(LINES[1000:]), id="two members, cut within a record"),
        pytest.param(gzip.compress(b"") + gzip.compress(LINES) + gzip.compress(b""), id="empty members"),
        pytest.param(gzip.compress(LINES) + b"\0" * 700, id="zero padding"),
        pytest.param(named.getvalue(), id="a header with a name of 60 KB"),
        pytest.param(LINES.removesuffix(b"\n"), id="no final newline"),
        pytest.param(LINES.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(b"\xef\xbb\xbf" + LINES, id="byte order mark"),
        pytest.param(LINES.replace(b"\n", b"\n \t\r\n\n"), id="blank lines"),
        pytest.param(LINES.replace(b"\n", b" \t\n\t "), id="outer white space"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1000, 10**9])
def test_the_same_lines_in_any_wrapping_and_pieces_are_the_same_rows(decode: Decode, data: bytes, step: int) -> None:
    outcome = decode(data, range(step, len(data), step))
    assert texts(outcome) == [str(i) for i in range(200)]
    assert not outcome.rejected


@pytest.mark.parametrize(
    "data", [b"", gzip.compress(b"", mtime=0), b"\n\n", b"\xef\xbb\xbf", gzip.compress(b" \r\n", mtime=0)]
)
def test_nothing_is_no_rows(decode: Decode, data: bytes) -> None:
    outcome = decode(data)
    assert (outcome.rows, outcome.batches, outcome.rejected, dict(outcome.seen)) == (0, [], (), {})
    assert outcome.table.column_names == ["_tr_op", "_tr_ts", "_tr_pos", "_tr_expired"]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


WHOLE = gzip.compress(LINES, mtime=0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(WHOLE[:-4], id="cut in the length"),
        pytest.param(WHOLE[:-8], id="cut before the trailer"),
        pytest.param(WHOLE[: len(WHOLE) // 2], id="cut in half"),
        pytest.param(WHOLE[:5], id="cut in the header"),
        pytest.param(WHOLE + WHOLE[:-1], id="cut second member"),
        pytest.param(WHOLE + WHOLE[:1], id="one byte of a second member"),
        pytest.param(WHOLE + b"garbage", id="bytes behind it"),
        pytest.param(WHOLE + b"\0\0" + WHOLE, id="a member behind padding"),
        pytest.param(WHOLE + LINES, id="plain lines behind it"),
        pytest.param(flipped(WHOLE, -8), id="wrong CRC"),
        pytest.param(flipped(WHOLE, -1), id="wrong length"),
        pytest.param(flipped(WHOLE, len(WHOLE) // 2), id="flipped bit"),
        pytest.param(WHOLE[:2] + b"\x63" + WHOLE[3:], id="unknown method"),
        pytest.param(GZIP_MAGIC + b"plain text", id="magic and nothing of it"),
    ],
)
@pytest.mark.parametrize("step", [1, 100, 10**9])
def test_damaged_gzip_is_corrupt_however_it_arrives(decode: Decode, data: bytes, step: int) -> None:
    with pytest.raises(SegmentCorrupt):
        decode(data, range(step, len(data), step))


def test_every_cut_of_a_gzip_file_is_noticed(decode: Decode) -> None:
    data = gzip.compress(LINES[:500])
    for length in range(2, len(data)):
        with pytest.raises(SegmentCorrupt):
            decode(data[:length])


def test_gzip_within_gzip_is_not_looked_into(decode: Decode) -> None:
    assert decode(gzip.compress(gzip.compress(LINES))).rows == 0


def test_only_a_newline_ends_a_line(decode: Decode) -> None:
    odd = "a\u2028b\u2029c\x85d\x0be"
    assert texts(decode(item(odd.replace("\x0b", "\\u000b")))) == [odd]


def test_a_byte_order_mark_counts_in_offsets_and_belongs_to_no_line(decode: Decode) -> None:
    outcome = decode(b"\xef\xbb\xbfbad\nbad")
    assert [(r.line, r.offset, r.raw) for r in outcome.rejected] == [(1, 0, b"bad"), (2, 7, b"bad")]


def test_a_byte_order_mark_within_the_stream_is_no_json(decode: Decode) -> None:
    assert decode(item() + b"\n\xef\xbb\xbf" + item()).kinds == ["not_json"]


def test_rejected_lines_say_where_they_stand_and_what_they_were(decode: Decode) -> None:
    data = b"\n" + item() + b"\r\n \n oops \r\n" + item() + b"\nlast"
    outcome = decode(gzip.compress(data), [5, 9])
    oops, last = data.index(b" oops"), data.index(b"last")
    assert [(r.line, r.offset, r.kind) for r in outcome.rejected] == [(4, oops, "not_json"), (6, last, "not_json")]
    assert [r.raw.strip() for r in outcome.rejected] == [b"oops", b"last"]
    assert outcome.rows == 2


@pytest.mark.parametrize("step", [10**9, 13])
def test_an_overlong_line_is_rejected_with_its_beginning_and_the_rest_flows(decode: Decode, step: int) -> None:
    long = item("y" * 200)
    data = item("1") + b"\n" + long + b"\n" + item("2")
    outcome = decode(data, range(step, len(data), step), line_bytes_max=100)
    assert texts(outcome) == ["1", "2"]
    [rejected] = outcome.rejected
    assert (rejected.line, rejected.offset, rejected.kind, rejected.cut) == (
        2,
        len(item("1")) + 1,
        "line_too_long",
        True,
    )
    assert long.startswith(rejected.raw)
    assert rejected.raw


def test_the_limit_counts_without_the_newline(decode: Decode) -> None:
    assert decode(item() + b"\n", line_bytes_max=len(item())).rows == 1
    assert decode(item() + b" \n", line_bytes_max=len(item())).kinds == ["line_too_long"]


def test_an_overlong_line_of_blanks_is_rejected_too(decode: Decode) -> None:
    assert decode(b" " * 300 + item(), line_bytes_max=100).kinds == ["line_too_long"]


def test_of_a_rejected_line_a_mebibyte_is_kept(decode: Decode) -> None:
    [rejected] = decode(b"x" * (3 << 20)).rejected
    assert (rejected.kind, len(rejected.raw), rejected.cut) == ("not_json", 1 << 20, True)


def test_a_large_item_is_one_row(decode: Decode) -> None:
    assert len(texts(decode(item("y" * (400 << 10))))[0]) == 400 << 10


def bomb(plain: bytes, times: int) -> bytes:
    deflate = zlib.compressobj(9, wbits=31)
    return b"".join(deflate.compress(plain) for _ in range(times)) + deflate.flush()


def test_a_bomb_costs_no_memory(engine: Engine) -> None:
    data = bomb(b" " * (1 << 20), 64) + gzip.compress(b"\n" + item())
    tracemalloc.start()
    decoder = engine.decoder("0001|1|", line_bytes_max=1 << 20)
    decoder.push(data)
    decoder.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (decoder.rows, [r.kind for r in decoder.rejected]) == (1, ["line_too_long"])
    assert peak < 16 << 20


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.lists(st.binary(max_size=200) | st.integers(0, 3000).map(lambda n: LINES[:n]), max_size=4),
    level=st.integers(0, 9),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    padding=st.integers(0, 20),
)
def test_members_and_pieces_never_matter(
    decode: Decode, members: list[bytes], level: int, cuts: list[float], padding: int
) -> None:
    plain = b"".join(members)
    if plain.startswith(GZIP_MAGIC):
        return
    zipped = b"".join(gzip.compress(member, level) for member in members) or gzip.compress(b"")
    zipped += b"\0" * padding
    expected = decode(plain)
    got = decode(zipped, [int(cut * len(zipped)) for cut in cuts])
    assert got.table.equals(expected.table, check_metadata=True)
    assert got.rejected == expected.rejected
