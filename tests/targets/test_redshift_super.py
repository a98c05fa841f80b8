"""``shape = "super"`` and chosen keys: what the table looks like in each mode, and what is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from load_world import World

from tailrace.clock import Budget, SystemClock
from tailrace.errors import UserFault
from tailrace.jobs.load import Loader, LoadReport
from tailrace.local.client import LocalAws
from tailrace.targets.redshift import DataApiConnection, Staging, Warehouse, redshift_target
from tailrace.targets.target import Layout, Mode
from tailrace.targets.warehouse.target import WarehouseTarget
from tailrace.testing.target_contract import delete, put

pytestmark = pytest.mark.embedded

ROLE = "arn:aws:iam::111122223333:role/RedshiftCopy"
NUMBERS = itertools.count()
SUPER = Layout("super")


class Place:
    """A workgroup that the changes of a world are loaded into."""

    def __init__(self, clients: dict[str, Any], world: World) -> None:
        self.data, self.world = clients["redshift-data"], world
        self.name = f"whole-{next(NUMBERS)}"
        staging = Staging(clients["s3"], f"s3://lake/{self.name}", ROLE)
        connection = DataApiConnection(self.data, Warehouse("dev", self.name), staging, SystemClock())
        self.target: WarehouseTarget = redshift_target("dwh", connection, "public", SystemClock())

    def load(self, layout: Layout, mode: Mode = "current") -> LoadReport:
        loader = Loader(self.world.landing, self.target, "orders", mode, SystemClock(), layout=layout)
        return loader.tick(Budget(SystemClock()))

    def rows(self, columns: str = "*", where: str = "") -> list[dict[str, Any]]:
        found = self.target.query(f"SELECT {columns} FROM orders {where} ORDER BY pk, _tr_pos").to_pylist()
        return [{name: _parsed(value) if name == "item" else value for name, value in row.items()} for row in found]

    def created(self) -> str:
        """The statement that made the table."""
        pages = self.data.get_paginator("list_statements").paginate(WorkgroupName=self.name, Database="dev")
        made = 'CREATE TABLE "public"."orders"'
        batches = (s.get("QueryStrings", ()) for page in pages for s in page["Statements"])
        return next(str(sql) for batch in batches for sql in batch if sql.startswith(made))


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text, parse_float=Decimal)


@pytest.fixture
def place(aws: LocalAws, clients: dict[str, Any], tmp_path: Path) -> Iterator[Place]:
    return Place(clients, World(tmp_path))


def test_attributes_come_and_change_their_types_without_a_new_column(place: Place) -> None:
    place.world.publish(put(1, x={"N": "1"}), put(2, "b", x={"S": "one"}))
    assert place.load(SUPER).added == ("pk", "item")
    place.world.publish(
        put(3, y={"M": {"n": {"N": "1E-130"}}}, z={"NULL": True}), put(4, "c", x={"N": "0.1"}), delete(5, "b")
    )
    report = place.load(SUPER)
    assert (report.added, report.widened, report.rows) == ((), (), 3)
    assert [(row["pk"], row["item"]) for row in place.rows()] == [
        ("a", {"pk": "a", "y": {"n": "1E-130"}}),
        ("c", {"pk": "c", "x": Decimal("0.1")}),
    ]


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("current", [("b", "u", 3)]),
        ("soft_delete", [("a", "d", 1), ("b", "u", 3)]),
        ("changelog", [("a", "u", 1), ("a", "d", None), ("b", "u", 2), ("b", "u", 3)]),
        ("history", [("a", "u", 1), ("b", "u", 2), ("b", "u", 3)]),
    ],
)
def test_every_mode_holds_whole_items(place: Place, mode: Mode, shown: list[tuple[str, str, int | None]]) -> None:
    place.world.publish(put(1, x={"N": "1"}), put(2, "b", x={"N": "2"}))
    place.load(SUPER, mode)
    place.world.publish(put(3, "b", x={"N": "3"}), delete(4))
    place.load(SUPER, mode)
    found = [(row["pk"], row["_tr_op"], (row["item"] or {}).get("x")) for row in place.rows()]
    assert found == shown


def test_a_text_that_is_too_long_for_a_super_is_set_aside(place: Place) -> None:
    place.world.publish(put(1, x={"S": "é" * 32_768}), put(2, "b", x={"S": "é" * 32_767 + "a"}))
    assert place.load(SUPER).quarantined == 1
    assert [row["pk"] for row in place.rows("pk, _tr_pos")] == ["b"]


def test_a_table_keeps_its_shape(place: Place) -> None:
    place.world.publish(put(1, x={"N": "1"}))
    place.load(SUPER)
    place.world.publish(put(2, x={"N": "2"}))
    with pytest.raises(UserFault, match="holds rows of another mode: current, super instead of current"):
        place.load(Layout())
    assert place.load(SUPER).rows == 1


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        (Layout(), 'DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk")'),
        (SUPER, 'DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk")'),
        (
            Layout(dist_key="Customer", sort_key=("_tr_loaded_at", "pk")),
            'DISTKEY ("customer") SORTKEY ("_tr_loaded_at", "pk")',
        ),
        (Layout("super", dist_key="EVEN", sort_key=("_tr_ts",)), 'DISTSTYLE EVEN SORTKEY ("_tr_ts")'),
        (Layout(dist_key="AUTO", sort_key=()), "DISTSTYLE AUTO"),
    ],
)
def test_distribution_and_order_can_be_chosen(place: Place, layout: Layout, options: str) -> None:
    wide = {f"a{n:03}": {"N": "1"} for n in range(80)}
    place.world.publish(put(1, **wide, Customer={"S": "c"}))
    assert place.load(layout).rows == 1
    assert place.created().endswith(options)


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (Layout(dist_key="nobody"), "dist_key of table 'orders' names 'nobody', which is no column of the table yet"),
        (
            Layout(sort_key=("pk", "doc")),
            "sort_key of table 'orders' names 'doc', which is SUPER, which Redshift takes",
        ),
        (Layout("super", sort_key=("x",)), "names 'x', which is no column"),
        (Layout(dist_key='x"; DROP TABLE orders; --'), "no column"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_before_anything_is_made(place: Place, layout: Layout, said: str) -> None:
    place.world.publish(put(1, x={"N": "1"}, doc={"M": {}}))
    with pytest.raises(UserFault) as caught:
        place.load(layout)
    assert said in str(caught.value)
    assert place.load(Layout()).rows == 1
