"""`quarantine`: see why, try again, or give up; nothing leaves by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cli_project import Project, line

from tailrace.model.quarantine import QuarantinedRecord

BAD = QuarantinedRecord("not_json", "not JSON: x\n\x1b[2J", b'{"Item"\xff', segment="s.json.gz", line=2, offset=211)
GOOD = QuarantinedRecord("bad_value", "an older release said no", line(3, "c"), segment="s.json.gz", line=3, offset=400)
POISON = QuarantinedRecord("bad_envelope", "no Keys", b"{}", shard="shard-1", sequence_number="17")


def test_an_empty_quarantine_is_exit_0_and_an_empty_list(loaded: Project) -> None:
    assert loaded.json("quarantine", "list") == []
    assert loaded.run("quarantine", "list").stdout == ""


def test_the_list_names_objects_with_their_first_reason_and_exits_3(loaded: Project) -> None:
    names = [loaded.set_aside(POISON), loaded.set_aside(BAD, GOOD)]
    assert loaded.json("quarantine", "list", code=3) == [
        {"table": "orders", "name": names[0], "records": 1, "kind": "bad_envelope", "reason": "no Keys"},
        {"table": "orders", "name": names[1], "records": 2, "kind": "not_json", "reason": BAD.reason},
    ]
    text = loaded.run("quarantine", "list", "--tables", "ord*").stdout
    assert text.splitlines() == [
        f"orders  {names[0]}  1 records  bad_envelope: no Keys",
        rf"orders  {names[1]}  2 records  not_json: not JSON: x\n\x1b[2J",
    ]


def test_a_damaged_object_is_listed_can_be_dropped_and_cannot_be_shown(loaded: Project) -> None:
    loaded.landing.store.create("orders/quarantine/x.json.gz", b"damaged")
    (entry,) = loaded.json("quarantine", "list", code=3)
    assert entry["kind"] == "damaged"
    shown = loaded.run("quarantine", "show", "orders", "x")
    assert shown.exit_code == 1
    assert "TAILRACE-402" in shown.stderr
    assert loaded.run("quarantine", "drop", "orders", "x", "--yes").exit_code == 0
    assert loaded.json("quarantine", "list") == []


def test_show_gives_the_reason_the_place_and_the_bytes(loaded: Project) -> None:
    name = loaded.set_aside(replace(BAD, cut=True))
    text = loaded.run("quarantine", "show", "orders", name[-16:]).stdout
    assert text.splitlines() == [
        r"not_json: not JSON: x\n\x1b[2J (only its first MiB was kept, so it cannot be replayed)",
        "  from line 2 of s.json.gz",
        r'  {"Item"\xff',
    ]
    (record,) = loaded.json("quarantine", "show", "orders", name)
    assert record["payload_base64"] == "eyJJdGVtIv8="
    assert record["cut"] is True


def test_a_long_payload_is_shortened_for_people_only(loaded: Project) -> None:
    name = loaded.set_aside(replace(POISON, payload=b"x" * 5000))
    shown = loaded.run("quarantine", "show", "orders", name).stdout
    assert "  from shard shard-1, sequence number 17" in shown
    assert shown.splitlines()[-1] == "  " + "x" * 2000 + "…"
    assert loaded.json("quarantine", "show", "orders", name)[0]["payload"] == "x" * 5000


def test_replay_lands_what_decodes_keeps_the_rest_and_load_applies_it(loaded: Project) -> None:
    name = loaded.set_aside(BAD, GOOD)
    document = loaded.json("quarantine", "replay", "orders", name, code=3)
    assert document["landed"] == 1
    assert document["segment"] == loaded.manifest.segments[-1].name
    (kept,) = document["kept"]
    assert kept["kind"] == "not_json"
    assert document["kept_in"] in [e["name"] for e in loaded.json("quarantine", "list", code=3)]
    result = loaded.run("load")
    assert result.exit_code == 0
    assert "1 rows applied" in result.stdout
    assert loaded.json("query", "SELECT pk FROM orders ORDER BY pk") == [{"pk": "a"}, {"pk": "b"}, {"pk": "c"}]


def test_replay_says_what_landed_and_what_did_not(loaded: Project) -> None:
    name = loaded.set_aside(GOOD)
    result = loaded.run("quarantine", "replay", "orders", name)
    assert (result.exit_code, result.stdout) == (0, "1 records landed again; `tailrace load` applies them\n")
    name = loaded.set_aside(replace(GOOD, cut=True), replace(GOOD, cut=True, line=4))
    result = loaded.run("quarantine", "replay", "orders", name)
    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        "0 records landed again",
        "kept 2: bad_value: an older release said no (only its first MiB was kept, so it cannot be replayed)",
    ]


def test_drop_asks_first(loaded: Project) -> None:
    name = loaded.set_aside(BAD, GOOD)
    refused = loaded.run("quarantine", "drop", "orders", name, input="n\n")
    assert refused.exit_code == 1
    assert "with 2 records of orders? They cannot be brought back" in refused.stderr
    assert list(loaded.landing.quarantine_names()) == [name]
    agreed = loaded.run("quarantine", "drop", "orders", name, input="y\n")
    assert (agreed.exit_code, agreed.stdout) == (0, "dropped 2 records\n")
    assert list(loaded.landing.quarantine_names()) == []


def test_drop_with_nobody_to_ask_drops_nothing(loaded: Project) -> None:
    name = loaded.set_aside(BAD)
    result = loaded.run("quarantine", "drop", "orders", name, input="")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert list(loaded.landing.quarantine_names()) == [name]
    assert loaded.json("quarantine", "drop", "orders", name, "--yes") == {"table": "orders", "name": name, "dropped": 1}


@pytest.mark.parametrize("action", ["show", "replay", "drop"])
def test_an_unknown_or_unclear_name_changes_nothing(loaded: Project, action: str) -> None:
    names = {loaded.set_aside(BAD), loaded.set_aside(GOOD)}
    for name, said in [("nothing", "TAILRACE-104"), ("s-", "2 objects match"), ("manifest.json", "TAILRACE-104")]:
        result = loaded.run("quarantine", action, "orders", name)
        assert result.exit_code == 2
        assert said in result.stderr
    result = loaded.run("quarantine", action, "order*", "s-")
    assert result.exit_code == 2
    assert "There is no table 'order*'" in result.stderr
    assert set(loaded.landing.quarantine_names()) == names
