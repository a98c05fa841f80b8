"""Iceberg tables on S3 of the embedded AWS: every mode, and a network that goes. The whole contract: ``make lake``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_edge import edge_before
from iceberg_place import elsewhere, open_target, orders
from lake_place import BUCKET, lakes_on_s3, prefix_of

from tailrace.errors import OutcomeUnknown, TailraceError
from tailrace.testing.target_contract import HISTORY, MODES, Replica, put

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with lakes_on_s3() as client:
        yield client


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_holds_the_history(s3: Any, tmp_path: Path, mode: Any) -> None:
    replica = Replica(open_target(tmp_path), mode)
    for load in HISTORY:
        replica.apply(load)
    replica.check()
    held = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix_of(tmp_path))["Contents"]
    assert any(entry["Key"].endswith(".parquet") for entry in held)
    assert replica.found(["d"]) == {key: row for key, row in replica.expected().items() if key == '["d"]'}
    assert orders(tmp_path).scan().count() >= replica.ledger.rows


def test_a_small_file_is_one_request(s3: Any, tmp_path: Path) -> None:
    with edge_before(s3.meta.endpoint_url) as edge, elsewhere(**{"s3.endpoint": edge.uri}):
        replica = Replica(open_target(tmp_path))
        for load in HISTORY[:2]:
            replica.apply(load)
        replica.check()
        written = [request.path for request in edge.seen if request.method in ("PUT", "POST")]
    assert written
    assert not [path for path in written if "upload" in path]  # of an upload in parts
    assert len({*written}) == len(written)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_network_that_goes_at_any_effect_leaves_the_old_state_or_the_new(
    s3: Any, tmp_path: Path, before: bool
) -> None:
    at, effects = 0, 1
    while at < effects:
        place = tmp_path / str(at)
        replica = Replica(open_target(place))
        replica.apply((1, [put(1), put(2, "b")]))
        load, names = replica.load((2, [put(3, "b", x={"N": "1"}), put(4, "c")])), []

        def perform(name: str, effect: Callable[[], Any], at: int = at, names: Any = names) -> Any:
            names.append(name)
            if len(names) - 1 < at:
                return effect()
            if len(names) - 1 == at and not before:
                effect()
            raise OSError("the network is gone")

        with pytest.raises(TailraceError) as raised:
            open_target(place, threads=1, perform=perform).apply(load)
        committed = names[at] == "commit" and not before
        assert isinstance(raised.value, OutcomeUnknown) == (names[at] == "commit")
        assert replica.ledger.applied_through == (2 if committed else 1)
        replica.apply((2, [put(3, "b", x={"N": "1"}), put(4, "c")]))
        replica.check()
        effects, at = (effects + 1 if names[at] != "commit" else effects), at + 1
