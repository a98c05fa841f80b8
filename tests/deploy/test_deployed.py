"""The rendered template, deployed: the embedded AWS makes its resources, and live writes reach the warehouse by them alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from functions import until
from stacks import Stack, alone
from stream_reader import Account

pytestmark = pytest.mark.embedded

RULES = 'capture = "lambda"\nflush_seconds = 1\n'


def test_live_writes_reach_the_warehouse_through_what_was_deployed(account: Account, tmp_path: Path) -> None:
    account.table(name="orders")
    account.put_many("orders", 40, prefix="before")
    stack = Stack(account, alone("orders", RULES), tmp_path)
    stack.create("orders")

    account.put_many("orders", 200, prefix="live", n={"N": "12345678901234567890123456789012345678"})
    for number in range(0, 40, 4):
        account.dynamodb.delete_item(TableName="orders", Key={"pk": {"S": f"live{number}"}})

    until(
        lambda: stack.rows("orders"), 60
    )  # stream, function, S3, its event, function, warehouse: nobody called anything
    # And the schedule reads what was there before.
    until(lambda: stack.tick("orders")["orders"]["state"] == "CONSISTENT", 120)
    until(lambda: stack.tick("orders") and stack.rows("orders") == 230, 60)
    assert stack.verified("orders").keys_source == 230
    count = stack.pipeline.query("SELECT count(*) AS n FROM orders")["n"][0].as_py()
    assert int(count) == 230


@pytest.mark.parametrize(("table", "kind"), [("customers", "step_functions"), ("invoices", "chain_table")])
def test_a_chain_reads_a_base_to_its_end(table: str, kind: str, account: Account, tmp_path: Path) -> None:
    account.table(name=table)
    account.put_many(table, 400, prefix="before")
    rules = f"{RULES}scan_segments = 6\nworkers = 1\n"
    stack = Stack(account, alone(table, rules, f'backfill = "{kind}"\n'), tmp_path, link_seconds=6)
    stack.create(table)
    account.put_many(table, 10, prefix="live")
    landing = stack.pipeline.landing(table)
    until(lambda: landing.load() is not None, 60)  # a base begins when capture has

    account.aws.fault("slow", operation="Scan", table=table, seconds=1.5, count=6)  # 9 seconds, of which a link has 4.5
    assert stack.backfilled(table, 120) >= 1
    published = landing.load()
    assert published is not None
    assert sum(s.rows for s in landing.segments(published.manifest) if s.kind == "base") == 410
    until(lambda: stack.tick(table)[table]["state"] == "CONSISTENT", 120)
    assert stack.verified(table).keys_source == 410
