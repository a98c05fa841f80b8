"""Shapes of records, their metadata and keys, and the order key that follows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from decoding import Outcome, line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.model.keys import KeyAttribute, KeySchema

Decode = Callable[..., Outcome]

KEY = {"pk": {"S": "a"}}
IMAGE = {"pk": {"S": "a"}, "v": {"N": "1"}}
SEQUENCE = {"SequenceNumber": {"S": "100000000000000000001"}}
MICROS = {"WriteTimestampMicros": {"N": "1795323000123456"}}
SCHEMA = KeySchema(KeyAttribute("pk", "S"))
TWO_KEYS = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))


def change(event: str | None = None, **members: Any) -> dict[str, Any]:
    """A change of KEY; a member given as None is left out."""
    metadata = SEQUENCE | MICROS | ({} if event is None else {"EventName": {"S": event}})
    document = {"Metadata": metadata, "Keys": KEY, "NewImage": IMAGE} | members
    return {name: value for name, value in document.items() if value is not None}


def with_metadata(metadata: Any, **members: Any) -> dict[str, Any]:
    return {"Metadata": metadata, "Keys": KEY, "NewImage": IMAGE, **members}


def kind_of(decode: Decode, document: Any, **options: Any) -> str:
    """The kind of the rejection; what stands around it is not touched."""
    good = line(change())
    outcome = decode(b"\n".join([good, line(document), good]), **options)
    assert outcome.rows == 2
    [kind] = outcome.kinds
    return kind


# ---- shapes -----------------------------------------------------------------------------------------------


def test_a_base_row_is_its_item(decode: Decode) -> None:
    outcome = decode(line({"Item": IMAGE}))
    assert outcome.values == [{"pk:S": "a", "v:N": 1}]
    assert [outcome.meta(name) for name in ("_tr_op", "_tr_ts", "_tr_expired")] == [["r"], [None], [False]]
    assert outcome.meta("_tr_pos") == ["0001|1|" + "0" * 40]


@pytest.mark.parametrize(
    "more", [{"Metadata": {"SequenceNumber": 5}}, {"NewImage": 5}, {"OldImage": [], "x": {"": None}}]
)
def test_a_base_row_ignores_other_members(decode: Decode, more: dict[str, Any]) -> None:
    outcome = decode(line({**more, "Item": IMAGE}))
    assert outcome.values == [{"pk:S": "a", "v:N": 1}]
    assert outcome.meta("_tr_ts") == [None]


@pytest.mark.parametrize(
    ("document", "op", "values"),
    [
        pytest.param(change("INSERT"), "c", {"pk:S": "a", "v:N": 1}, id="INSERT"),
        pytest.param(change("MODIFY"), "u", {"pk:S": "a", "v:N": 1}, id="MODIFY"),
        pytest.param(
            change("MODIFY", OldImage={"pk": {"S": "a"}}), "u", {"pk:S": "a", "v:N": 1}, id="MODIFY, both images"
        ),
        pytest.param(change("REMOVE", NewImage=None), "d", {"pk:S": "a"}, id="REMOVE"),
        pytest.param(
            change("REMOVE", NewImage=None, OldImage=IMAGE), "d", {"pk:S": "a"}, id="REMOVE with an old image"
        ),
        pytest.param(change("INSERT", OldImage=IMAGE), "c", {"pk:S": "a", "v:N": 1}, id="71 INSERT with an old image"),
        pytest.param(change(), "u", {"pk:S": "a", "v:N": 1}, id="77 no event, an image"),
        pytest.param(change(NewImage=None), "d", {"pk:S": "a"}, id="78 no event, no image"),
        pytest.param(change(NewImage=None, OldImage=IMAGE), "d", {"pk:S": "a"}, id="78 no event, an old image"),
        pytest.param(change(NewImage=KEY), "u", {"pk:S": "a"}, id="an image of the key alone"),
        pytest.param(change(more={"x": 1}, Items=[]), "u", {"pk:S": "a", "v:N": 1}, id="other members"),
        pytest.param(
            change(OldImage={"": {"NULL": False}}), "u", {"pk:S": "a", "v:N": 1}, id="an old image of nonsense"
        ),
        pytest.param(change(OldImage=5), "u", {"pk:S": "a", "v:N": 1}, id="an old image that is none"),
    ],
)
def test_a_change_is_its_new_image_or_its_keys(decode: Decode, document: Any, op: str, values: dict[str, Any]) -> None:
    for text in (line(document), line(dict(reversed(document.items())))):
        outcome = decode(text)
        assert outcome.kinds == []
        assert outcome.values == [values]
        assert [outcome.meta(name) for name in ("_tr_op", "_tr_ts")] == [[op], [1795323000123456]]
        assert outcome.meta("_tr_pos") == ["0001|1|" + "100000000000000000001".zfill(40)]


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        pytest.param({"Item": IMAGE, "Keys": KEY}, "unknown_shape", id="Item and Keys"),
        pytest.param({"NewImage": IMAGE, "Metadata": SEQUENCE}, "unknown_shape", id="69 no Keys"),
        pytest.param({"Metadata": SEQUENCE}, "unknown_shape", id="81 metadata alone"),
        pytest.param({"version": "2020-06-30", "exportArn": "x"}, "unknown_shape", id="81 a manifest read as data"),
        pytest.param({"itemCount": 8, "dataFileS3Key": "x"}, "unknown_shape", id="81 a file list read as data"),
        pytest.param({"Records": [change()]}, "unknown_shape", id="an event as a line"),
        pytest.param({"item": IMAGE}, "unknown_shape", id="lower case"),
        pytest.param(IMAGE, "unknown_shape", id="a bare item"),
        pytest.param({"Item": None}, "bad_value", id="Item null"),
        pytest.param({"Item": []}, "bad_value", id="Item an array"),
        pytest.param({"Item": "x"}, "bad_value", id="Item a string"),
        pytest.param(change(Keys=[]), "bad_value", id="Keys an array"),
        pytest.param({**change(), "Keys": None}, "bad_value", id="Keys null"),
        pytest.param({**change(), "NewImage": None}, "bad_value", id="NewImage null"),
        pytest.param(change(NewImage="x"), "bad_value", id="NewImage a string"),
        pytest.param(change(NewImage={"pk": {"S": "a"}, "": {"S": "x"}}), "bad_name", id="an empty name"),
        pytest.param(change("INSERT", NewImage=None), "missing_image", id="INSERT without an image"),
        pytest.param(change("MODIFY", NewImage=None, OldImage=IMAGE), "missing_image", id="MODIFY, old image only"),
        pytest.param(change("REMOVE"), "bad_event", id="71 REMOVE with an image"),
        pytest.param(change("insert"), "bad_metadata", id="72 lower case"),
        pytest.param(change("UPSERT"), "bad_metadata", id="72 unknown event"),
        pytest.param(change(""), "bad_metadata", id="72 empty event"),
    ],
)
def test_other_shapes_are_rejected(decode: Decode, document: Any, kind: str) -> None:
    assert kind_of(decode, document) == kind


# ---- metadata ---------------------------------------------------------------------------------------------

NOT_WRAPPED = [
    None,
    5,
    True,
    [],
    {},
    {"N": 5},
    {"S": 5},
    {"S": None},
    {"S": ["1"]},
    {"S": "1", "N": "1"},
    {"BOOL": True},
]


@pytest.mark.parametrize(
    "metadata",
    [
        *[pytest.param(value, id=f"Metadata {value!r}") for value in (None, 5, [], "x")],
        pytest.param({}, id="77 nothing"),
        pytest.param({"EventName": {"S": "MODIFY"}}, id="77 no position"),
        *[
            pytest.param({"SequenceNumber": value}, id=f"SequenceNumber {value!r}")
            for value in (*NOT_WRAPPED, "1", {"N": "1"})
        ],
        *[
            pytest.param({"SequenceNumber": {"S": text}}, id=f"73 {text[:12]!r} of {len(text)}")
            for text in ("", "x", "12x", " 1", "1 ", "-1", "+1", "1.0", "1e5", "٣", "1_0", "1" * 41, "0" * 41)
        ],
        *[
            pytest.param(SEQUENCE | {"WriteTimestampMicros": value}, id=f"74 77 micros {value!r}")
            for value in (
                *[v for v in NOT_WRAPPED if v != 5],
                {"S": "1"},
                -1,
                1.5,
                "",
                "x",
                "-1",
                "1.5",
                "1e15",
                "9" * 20,
            )
        ],
        *[
            pytest.param(SEQUENCE | {"WriteTimestampMicros": {"N": text}}, id=f"74 77 wrapped {text!r}")
            for text in ("", "x", "-1", "1.5", " 1", "1E3", "9223372036854775808", "0" * 20)
        ],
        pytest.param(SEQUENCE | {"WriteTimestampMicros": 2**63}, id="74 bare, beyond 64 bits"),
        *[
            pytest.param(SEQUENCE | {"EventName": value}, id=f"72 EventName {value!r}")
            for value in (
                None,
                5,
                "MODIFY",
                {},
                {"N": "1"},
                {"S": None},
                {"S": 5},
                {"S": ["MODIFY"]},
                {"S": "MODIFY", "N": "1"},
            )
        ],
        *[
            pytest.param(SEQUENCE | {"Expired": value}, id=f"Expired {value!r}")
            for value in (None, True, "true", {}, {"S": "true"}, {"BOOL": "true"}, {"BOOL": 1}, {"BOOL": None})
        ],
    ],
)
def test_metadata_of_another_form_is_rejected(decode: Decode, metadata: Any) -> None:
    assert kind_of(decode, with_metadata(metadata)) == "bad_metadata"


def test_a_change_without_metadata_is_rejected(decode: Decode) -> None:
    assert kind_of(decode, {"Keys": KEY, "NewImage": IMAGE}) == "bad_metadata"
    assert kind_of(decode, {"Keys": KEY}) == "bad_metadata"


@pytest.mark.parametrize(
    "number", ["0", "1", "20", "1" * 20, "9" * 20, "1" * 21, "9" * 21, "1" * 22, "9" * 40, "0" * 40, "000123"], ids=str
)
def test_73_positions_have_1_to_40_digits_and_are_padded(decode: Decode, number: str) -> None:
    outcome = decode(line(with_metadata({"SequenceNumber": {"S": number}})))
    assert outcome.meta("_tr_pos") == ["0001|1|" + number.zfill(40)]
    assert outcome.meta("_tr_ts") == [None]


@pytest.mark.parametrize("micros", ["0", "1", "1795323000123456", "9223372036854775807", "000017", "0" * 19])
def test_77_a_time_may_be_wrapped_bare_or_a_string(decode: Decode, micros: str) -> None:
    forms: list[Any] = [{"N": micros}, micros]
    if micros == str(int(micros)):
        forms.append(int(micros))
    for form in forms:
        outcome = decode(line(with_metadata({"WriteTimestampMicros": form})))
        assert outcome.meta("_tr_ts") == [int(micros)]
        assert outcome.meta("_tr_pos") == ["0001|1|" + micros.zfill(40)]


def test_the_sequence_number_goes_before_the_time(decode: Decode) -> None:
    metadata = {"WriteTimestampMicros": {"N": "9999999999999999"}, "SequenceNumber": {"S": "7"}}
    assert decode(line(with_metadata(metadata))).meta("_tr_pos") == ["0001|1|" + "7".zfill(40)]


def test_unknown_metadata_is_ignored(decode: Decode) -> None:
    assert decode(line(with_metadata(SEQUENCE | {"Region": {"X": None}, "": 5, "eventname": {"S": "x"}}))).kinds == []


def test_expired_marks_a_delete_by_time_to_live(decode: Decode) -> None:
    expired: list[Any] = [{}, {"Expired": {"BOOL": True}}, {"Expired": {"BOOL": False}}]
    data = b"\n".join(line({"Metadata": SEQUENCE | more, "Keys": KEY}) for more in expired)
    assert decode(data).meta("_tr_expired") == [False, True, False]


# ---- the order key ----------------------------------------------------------------------------------------

WINDOW = "0001|1|" + "1795323600000000".zfill(20)


def test_a_longer_prefix_leaves_fewer_digits(decode: Decode) -> None:
    data = line(with_metadata(MICROS)) + b"\n" + line({"Item": IMAGE})
    positions = decode(data, prefix=WINDOW).meta("_tr_pos")
    assert positions == [WINDOW + "1795323000123456".zfill(20), WINDOW + "0" * 20]
    assert [len(position) for position in positions] == [47, 47]


@pytest.mark.parametrize(("digits", "fits"), [(20, True), (21, False), (40, False)])
def test_a_position_that_the_prefix_leaves_no_room_for_is_rejected(decode: Decode, digits: int, fits: bool) -> None:
    outcome = decode(line(with_metadata({"SequenceNumber": {"S": "1" * digits}})), prefix=WINDOW)
    assert outcome.kinds == ([] if fits else ["bad_metadata"])


@pytest.mark.parametrize("zeros", [1, 20])
def test_leading_zeros_need_no_room(decode: Decode, zeros: int) -> None:
    outcome = decode(line(with_metadata({"SequenceNumber": {"S": "0" * zeros + "1" * 20}})), prefix=WINDOW)
    assert outcome.meta("_tr_pos") == [WINDOW + "1" * 20]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(0, 10**40 - 1) | st.integers(10**20 - 5, 10**21 + 5), min_size=2, max_size=20))
def test_order_keys_sort_like_their_numbers(decode: Decode, numbers: list[int]) -> None:
    data = b"\n".join(line(with_metadata({"SequenceNumber": {"S": str(number)}})) for number in numbers)
    positions = decode(data).meta("_tr_pos")
    assert sorted(positions) == [f"0001|1|{number:040d}" for number in sorted(numbers)]


# ---- keys -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys",
    [
        {"pk": {"S": "a"}},
        {"pk": {"S": ""}},
        {"pk": {"N": "1.50"}},
        {"pk": {"B": "AA=="}},
        {"pk": {"B": ""}},
        {"pk": {"S": "a"}, "sk": {"N": "-0"}},
        {'"; drop table x; --': {"S": "\n"}, "Item": {"B": "/w=="}},
    ],
    ids=str,
)
def test_keys_are_one_or_two_attributes(decode: Decode, keys: dict[str, Any]) -> None:
    assert decode(line({"Metadata": SEQUENCE, "Keys": keys})).kinds == []
    assert decode(line({"Metadata": SEQUENCE, "Keys": keys, "NewImage": {**keys, "v": {"L": []}}})).kinds == []


@pytest.mark.parametrize(
    ("keys", "image"),
    [
        pytest.param({"pk": {"N": "1"}}, {"pk": {"N": "1.0"}}, id="43 1 and 1.0"),
        pytest.param({"pk": {"N": "1E2"}}, {"pk": {"N": "100"}}, id="43 1E2 and 100"),
        pytest.param({"pk": {"N": "0"}}, {"pk": {"N": "-0"}}, id="42 0 and -0"),
        pytest.param({"pk": {"N": "9.99E125"}}, {"pk": {"N": "999E+123"}}, id="9.99E125 twice"),
    ],
)
def test_keys_are_compared_by_value(decode: Decode, keys: Any, image: Any) -> None:
    assert decode(line({"Metadata": SEQUENCE, "Keys": keys, "NewImage": image})).kinds == []


TWO = {"pk": {"S": "a"}, "sk": {"N": "1"}}


@pytest.mark.parametrize(
    ("keys", "image"),
    [
        pytest.param({}, IMAGE, id="no key"),
        pytest.param({}, None, id="no key, a delete"),
        pytest.param({**TWO, "x": {"S": "a"}}, None, id="three keys"),
        *[
            pytest.param({"pk": typed}, None, id=f"a key of {tag}")
            for typed in (
                {"BOOL": True},
                {"NULL": True},
                {"M": {}},
                {"L": []},
                {"SS": ["a"]},
                {"NS": ["1"]},
                {"BS": [""]},
            )
            for tag in typed
        ],
        pytest.param(KEY, {"pk": {"S": "b"}}, id="70 another value"),
        pytest.param(KEY, {"v": {"S": "a"}}, id="70 not in the image"),
        pytest.param(KEY, {}, id="70 an empty image"),
        pytest.param(KEY, {"pk": {"B": "YQ=="}}, id="70 another type"),
        pytest.param({"pk": {"N": "1"}}, {"pk": {"S": "1"}}, id="70 text for a number"),
        pytest.param({"pk": {"N": "9007199254740993"}}, {"pk": {"N": "9007199254740992"}}, id="70 2^53"),
        pytest.param(TWO, {**TWO, "sk": {"N": "2"}}, id="70 another second value"),
        pytest.param(KEY, {"PK": {"S": "a"}}, id="70 another case"),
        pytest.param({"é": {"S": "a"}}, {"e\u0301": {"S": "a"}}, id="70 another normal form"),
    ],
)
def test_keys_that_do_not_fit_their_image_are_rejected(decode: Decode, keys: Any, image: Any) -> None:
    document = {"Metadata": SEQUENCE, "Keys": keys} | ({} if image is None else {"NewImage": image})
    assert kind_of(decode, document) == "key_mismatch"


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"pk": {"N": "x"}}, "bad_number"),
        ({"pk": {"B": "AB=="}}, "bad_base64"),
        ({"pk": "a"}, "bad_value"),
        ({"": {"S": "a"}}, "bad_name"),
    ],
)
def test_keys_are_checked_like_images(decode: Decode, keys: Any, kind: str) -> None:
    assert kind_of(decode, {"Metadata": SEQUENCE, "Keys": keys}) == kind


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        pytest.param(SCHEMA, {"pk": {"N": "1"}}, id="another type"),
        pytest.param(SCHEMA, {"id": {"S": "a"}}, id="another name"),
        pytest.param(SCHEMA, {"PK": {"S": "a"}}, id="another case"),
        pytest.param(SCHEMA, TWO, id="one too many"),
        pytest.param(TWO_KEYS, KEY, id="one too few"),
        pytest.param(TWO_KEYS, {"pk": {"S": "a"}, "sk": {"S": "1"}}, id="second of another type"),
        pytest.param(TWO_KEYS, {"sk": {"S": "a"}, "pk": {"N": "1"}}, id="types swapped"),
    ],
)
def test_a_given_key_schema_must_fit(decode: Decode, schema: KeySchema, keys: dict[str, Any]) -> None:
    delete = {"Metadata": SEQUENCE, "Keys": keys}
    for document in (delete, {**delete, "NewImage": keys}):
        assert decode(line(document), keys=schema).kinds == ["key_mismatch"]
        assert decode(line(document)).kinds == []


def test_a_given_key_schema_is_asked_of_base_rows_too(decode: Decode) -> None:
    rows = [TWO, {**TWO, "v": {"S": ""}}, {"pk": {"S": "a"}}, {**TWO, "pk": {"B": ""}}, {}, dict(reversed(TWO.items()))]
    outcome = decode(b"\n".join(line({"Item": row}) for row in rows), keys=TWO_KEYS)
    assert [rejected.line for rejected in outcome.rejected] == [3, 4, 5]
    assert set(outcome.kinds) == {"key_mismatch"}


def test_a_given_key_schema_accepts_its_keys_in_any_order(decode: Decode) -> None:
    document = {"Metadata": SEQUENCE, "Keys": dict(reversed(TWO.items()))}
    assert decode(line(document), keys=TWO_KEYS).values == [{"pk:S": "a", "sk:N": 1}]


def test_rejected_records_leave_no_trace(decode: Decode) -> None:
    image = {**IMAGE, "only_here": {"N": "1E-130"}, "v": {"N": "0.5"}, "n": {"NULL": True}, "bad": {"N": "x"}}
    outcome = decode(line(change()) + b"\n" + line(change(NewImage=image)) + b"\n" + line(change()))
    assert outcome.kinds == ["bad_number"]
    assert list(outcome.seen) == [("pk", "S"), ("v", "N")]
    assert outcome.types() == {"pk:S": "string", "v:N": "int64"}


def test_all_kinds_are_listed_in_the_contract() -> None:
    """Every kind that the reference can give stands in the document, and the other way round."""
    root = Path(__file__).parents[2]
    document = (root / "docs/formats/decoding.md").read_text(encoding="utf-8")
    [listed] = re.findall(r"Kinds of rejection: `([^`]*)`", document)
    code = (root / "src/tailrace/codec/reference.py").read_text(encoding="utf-8")
    assert set(listed.split(" · ")) == set(re.findall(r'Invalid\("(\w+)"', code))


def test_json_of_either_style_is_one_record(decode: Decode) -> None:
    document = change("MODIFY", OldImage={"pk": {"S": "é\u2028"}})
    styles = [
        json.dumps(document, ensure_ascii=a, separators=s).encode()
        for a in (True, False)
        for s in ((",", ":"), (" , ", " : "))
    ]
    outcome = decode(b"\n".join(styles))
    assert outcome.values == [{"pk:S": "a", "v:N": 1}] * 4
