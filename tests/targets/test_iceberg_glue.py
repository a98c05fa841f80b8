"""Glue of the embedded AWS as the catalog, tables on its S3. The whole contract: ``make lake-glue``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from http_edge import Answer, Edge, Request, Send, edge_before
from iceberg_place import catalog_in_glue, moved, namespace_of, open_target, orders

from tailrace.errors import UserFault
from tailrace.targets.iceberg import loading
from tailrace.targets.iceberg.found import STATE
from tailrace.testing.target_contract import HISTORY, Replica, delete, put

pytestmark = pytest.mark.embedded
SECOND = (2, [put(3, "b", x={"N": "2.5"}), delete(4), put(5, "c")])


@pytest.fixture(scope="module")
def aws() -> Iterator[Any]:
    with catalog_in_glue() as s3:
        yield s3


@pytest.fixture
def edge(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    """Glue is behind this; S3 is not."""
    with edge_before(moved["glue.endpoint"]) as edge:
        monkeypatch.setitem(moved, "glue.endpoint", edge.uri)
        yield edge


def is_commit(request: Request) -> bool:
    return request.headers.get("X-Amz-Target") == "AWSGlue.UpdateTable"


def loaded(place: Path, mode: str = "current") -> Replica:
    replica = Replica(open_target(place), mode)  # type: ignore[arg-type]
    replica.apply((1, [put(1), put(2, "b", x={"N": "1"})]))
    return replica


@pytest.mark.parametrize("mode", ["current", "history"])
def test_every_mode_holds_the_history(edge: Edge, tmp_path: Path, mode: str) -> None:
    replica = Replica(open_target(tmp_path), mode)  # type: ignore[arg-type]
    for load in HISTORY:
        replica.apply(load)
    replica.check()
    assert any(is_commit(request) for request in edge.seen)


def test_glue_is_given_no_ledger_which_would_outgrow_it(aws: Any, tmp_path: Path) -> None:
    replica = loaded(tmp_path)
    replica.apply((2, [put(3, "b\nc", **{"a\nb": {"S": "x"}, "é\t": {"S": "y"}})]))
    replica.check()
    table = glue().get_table(DatabaseName=namespace_of(tmp_path)[0], Name="orders")["Table"]
    names = [name for name in table["Parameters"] if name.startswith("tailrace.")]
    assert not names
    assert {"table_type", "metadata_location", "write.parquet.compression-codec"} <= set(table["Parameters"])
    columns = [column["Name"] for column in table["StorageDescriptor"]["Columns"]]
    assert {"a\ufffdb", "é\t"} <= set(columns)
    assert json.loads(orders(tmp_path).properties[STATE])["applied_through"] == 2


def glue() -> Any:
    return boto3.client(
        "glue",
        endpoint_url=moved["glue.endpoint"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_a_load_that_meets_another_one_is_made_anew(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one comes between a commit's look at the table and its write: Glue's version is what tells."""
    replica, other, first = loaded(tmp_path), open_target(tmp_path), [True]
    load = replica.load(SECOND)

    def rule(request: Request, send: Send) -> Answer:
        if is_commit(request) and first:
            first.clear()
            monkeypatch.setattr(loading, "_locks", {})  # as another process: not behind this one's locks
            replica.target = other
            replica.apply((3, [put(6, "d"), delete(7, "b")]))
        return send(request)

    edge.rule = rule
    assert open_target(tmp_path).apply(load).segments == 1
    replica.applied[2] = SECOND[1]
    replica.check()


def test_a_commit_that_the_client_repeats_because_its_answer_was_lost_is_found(edge: Edge, tmp_path: Path) -> None:
    """The second request meets the version that the first one made, so Glue says that somebody else was first."""
    replica, answers = loaded(tmp_path), list[int]()

    def rule(request: Request, send: Send) -> Answer | None:
        answer = send(request)
        if not is_commit(request):
            return answer
        answers.append(answer.status)
        return None if len(answers) == 1 else answer

    edge.rule = rule
    assert replica.target.apply(replica.load(SECOND)).segments == 1
    assert answers == [200, 400]
    replica.applied[2] = SECOND[1]
    replica.check()
    assert orders(tmp_path).scan().to_arrow().num_rows == len(replica.expected())


def test_what_glue_refuses_for_good_is_not_tried_again(edge: Edge, tmp_path: Path) -> None:
    replica = loaded(tmp_path)

    def rule(request: Request, send: Send) -> Answer:
        if not is_commit(request):
            return send(request)
        refused = {"__type": "InvalidInputException", "Message": "Entity size has exceeded the maximum allowed size."}
        return Answer(400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(refused).encode())

    edge.rule = rule
    with pytest.raises(UserFault, match="Entity size"):
        replica.target.apply(replica.load(SECOND))
    edge.rule = lambda request, send: send(request)
    assert replica.ledger.applied_through == 1
    replica.apply(SECOND)
    replica.check()
