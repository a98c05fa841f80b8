"""Hypothesis strategies for DynamoDB data: hostile names, exact numbers, typed values, items, records, lines.

For our tests and those of whoever writes a target. What is drawn is legal in DynamoDB, unless a strategy says
otherwise.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tailrace.model.keys import KeySchema
from tailrace.model.numbers import DIGITS_MAX, EXPONENT_MAX, EXPONENT_MIN, canonical_number

HOSTILE_NAMES: Final = (
    *("S", "N", "Item", "Keys", "NULL", "id", "Id", "ID", "id__s", "id_2", "a.b", "a[0]", "select", "rowid"),
    *("_tr_op", "_tr_pos", '"', "'", "`", "]", "\\", 'a"; drop table x; --', "a\\'", "${HOME}", "%s", "{}"),
    *(
        "../../x",
        "=cmd|' /C calc'!A0",
        "\u2028",
        "\u0085",
        "\u200b",
        "\u202egnp.exe",
        "é",
        "e\u0301",
        "日本",
        "🦀",
    ),
    *(" ", "\t", "\n", "\0", "\x1b[31m", "x" * 300),
)

AWKWARD_NUMBERS: Final = (
    *("0", "-0", "+5", "00012", "1.0", "1E0", ".5", "5.", "-1e-7", "0.00000001", "0.1", "100.50"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808"),
    *("-9223372036854775808", "-9223372036854775809", "123456789012345678.1234567890123456789"),
    *("1E-130", "-1E-130", "9.99E125", "9.9999999999999999999999999999999999999E+125", "1E+37", "1E+38"),
    *("12345678901234567890123456789012345678", "0.12345678901234567890123456789012345678", "1" + "0" * 100),
)

text: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@functools.cache
def attribute_names() -> SearchStrategy[str]:
    """Never empty."""
    return st.sampled_from(HOSTILE_NAMES) | st.sampled_from(["a", "b", "price", "value"]) | text.filter(bool)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Spellings of numbers that DynamoDB accepts, canonical or not."""
    if draw(st.booleans()):
        return draw(st.sampled_from(AWKWARD_NUMBERS) | st.integers(-1000, 1000).map(str))
    digits = str(draw(st.integers(0, 10 ** draw(st.integers(1, DIGITS_MAX)) - 1)))
    first = draw(st.integers(-20, 40) | st.integers(EXPONENT_MIN, EXPONENT_MAX))
    sign = draw(st.sampled_from(["", "-"]))
    return draw(_spelling(sign, digits, first - len(digits) + 1))


def _spelling(sign: str, digits: str, exponent: int) -> SearchStrategy[str]:
    """Ways to write digits times ten to the exponent."""
    spellings = [f"{sign}{digits}E{exponent}", f"{sign}00{digits}e{exponent:+d}"]
    if 0 <= exponent <= 60:
        spellings.append(f"{sign}{digits}{'0' * exponent}")
    elif -60 <= exponent < 0:
        padded = digits.zfill(1 - exponent)
        spellings.append(f"{sign}{padded[:exponent]}.{padded[exponent:]}0")
    return st.sampled_from(spellings)


@functools.cache
def binaries() -> SearchStrategy[str]:
    """Base64 text."""
    return st.binary(max_size=12).map(lambda data: base64.b64encode(data).decode("ascii"))


@functools.cache
def scalars() -> SearchStrategy[dict[str, Any]]:
    """Typed values of S, N, B, BOOL and NULL."""
    return (
        text.map(lambda value: {"S": value})
        | numbers().map(lambda value: {"N": value})
        | binaries().map(lambda value: {"B": value})
        | st.booleans().map(lambda value: {"BOOL": value})
        | st.just({"NULL": True})
    )


@functools.cache
def sets() -> SearchStrategy[dict[str, Any]]:
    """Typed values of SS, NS and BS; members are unique by value."""
    return (
        st.lists(text, min_size=1, max_size=4, unique=True).map(lambda members: {"SS": members})
        | st.lists(numbers(), min_size=1, max_size=4, unique_by=canonical_number).map(lambda m: {"NS": m})
        | st.lists(binaries(), min_size=1, max_size=4, unique=True).map(lambda members: {"BS": members})
    )


@functools.cache
def typed_values() -> SearchStrategy[dict[str, Any]]:
    """Typed values of all tags, nested a few levels deep."""
    return st.recursive(
        scalars() | sets(),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda members: {"L": members})
            | st.dictionaries(attribute_names() | st.just(""), inner, max_size=3).map(lambda m: {"M": m})
        ),
        max_leaves=6,
    )


@functools.cache
def keys(schema: KeySchema) -> SearchStrategy[dict[str, Any]]:
    """Primary keys, from few enough that they repeat."""
    values: dict[str, SearchStrategy[str]] = {
        "S": st.sampled_from(["a", "b", "日本", "a b"]),
        "N": st.sampled_from(["1", "1.0", "2", "-3.5"]),
        "B": st.sampled_from(["AA==", "AQI="]),
    }
    return st.fixed_dictionaries({a.name: st.fixed_dictionaries({a.tag: values[a.tag]}) for a in schema.attributes})


@functools.cache
def _attributes() -> SearchStrategy[dict[str, Any]]:
    return st.dictionaries(attribute_names(), typed_values(), max_size=6)


@st.composite
def items(draw: st.DrawFn, schema: KeySchema | None = None) -> dict[str, Any]:
    """Items of a table; with a schema they have its key."""
    return draw(_attributes()) | ({} if schema is None else draw(keys(schema)))


@st.composite
def records(draw: st.DrawFn, schema: KeySchema, position: int | None = None) -> dict[str, Any]:
    """Base rows and changes in DynamoDB's export form, as they lie in segments."""
    item = draw(items(schema))
    event = draw(st.sampled_from(["INSERT", "MODIFY", "REMOVE", None]))
    if event is None:
        return {"Item": item}
    number = draw(st.integers(0, 10**40 - 1)) if position is None else position
    metadata: dict[str, Any] = {
        "WriteTimestampMicros": {"N": str(draw(st.integers(0, 2**63 - 1)))},
        "SequenceNumber": {"S": str(number)},
        "EventName": {"S": event},
    }
    if event == "REMOVE" and draw(st.booleans()):
        metadata["Expired"] = {"BOOL": True}
    record = {"Metadata": metadata, "Keys": {name: item[name] for name in schema.names}}
    if event != "REMOVE":
        record["NewImage"] = item
    if event != "INSERT" and draw(st.booleans()):
        record["OldImage"] = draw(items(schema))
    return record


def lines(schema: KeySchema) -> SearchStrategy[bytes]:
    """Records as lines without their newline, in every style of JSON that AWS and its libraries write."""
    return st.builds(_line, records(schema), st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]))


def _line(record: dict[str, Any], ascii_only: bool, separators: tuple[str, str]) -> bytes:
    return json.dumps(record, ensure_ascii=ascii_only, separators=separators).encode("utf-8")


def damaged_lines(schema: KeySchema) -> SearchStrategy[bytes]:
    """Lines with something cut out, put in or changed. Some are still good; most are not."""
    damages: list[Callable[[bytes, int, bytes], bytes]] = [
        lambda line, at, _: line[:at],
        lambda line, at, piece: line[:at] + piece + line[at:],
        lambda line, at, piece: line[:at] + piece + line[at + len(piece) :],
        lambda line, at, piece: line[:at] + line[at + len(piece) :],
    ]
    pieces = st.sampled_from(
        [b'"', b"\\", b"{", b"}", b",", b":", b"0", b"N", b"\xff", b"\x00", b"\\ud800", b'"S":', b"null"]
    )
    return st.builds(
        lambda line, damage, where, piece: damage(line, int(where * len(line)), piece).replace(b"\n", b""),
        lines(schema),
        st.sampled_from(damages),
        st.floats(0, 1),
        pieces,
    )
