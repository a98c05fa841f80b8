"""Bases that take longer than Lambda lets a function run: a step a call, and somebody calls again until all is done.

All positions are in the manifest, so a step that comes twice, or two at once, publish nothing twice. The caller is a state
machine of Step Functions, or an item of a DynamoDB table whose stream calls the function.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, Final

from tailrace.aws import translate
from tailrace.clock import Budget
from tailrace.deploy.entry import CHAIN, TABLE
from tailrace.errors import ConfigInvalid, UsageInvalid
from tailrace.pipeline import Pipeline, TableRun
from tailrace.runtimes.aws_lambda.running import announced, pipeline_here, seconds_for
from tailrace.runtimes.aws_lambda.telemetry import set_up_logging

log = logging.getLogger(__name__)

WAIT_SECONDS: Final = 60  # while AWS writes an export there is nothing to do


def backfill(event: Any, context: Any) -> dict[str, Any]:
    """Read on with bases for as long as Lambda allows: of ``{"tables": "orders*"}``, else of TAILRACE_TABLE, else of all.

    Answers ``{"done": false, "wait_seconds": 0, "tables": "orders*", "progress": {…}}``: unless it is done, call again after
    so many seconds, with this very answer. An event of a chain table's stream is a step for each item that is not done; the
    item then moves on, which calls the next step. Raises the first failure, when all tables had their turn.
    """
    set_up_logging()
    pipeline = pipeline_here()
    if not (isinstance(event, Mapping) and "Records" in event):
        return _step(pipeline, _tables(event), context)
    answer: dict[str, Any] = {"done": True}
    for item in _items(event):
        answer = _step(pipeline, item["table"]["S"], context)
        Budget(pipeline.clock, seconds_for(context)).wait(answer["wait_seconds"])
        _move_on(pipeline, item, is_done=answer["done"])
    return answer


def _step(pipeline: Pipeline, tables: str, context: Any) -> dict[str, Any]:
    runs = pipeline.run(
        tables=tables,
        until_caught_up=True,
        budget_seconds=seconds_for(context),
        capture=False,
        load=False,
        compact=False,
    )
    announced(pipeline, runs)
    waits = [run.backfill is not None and run.backfill.waits_for_aws for run in runs]
    progress = {run.table: _progress(run) for run in runs}
    return {
        "done": all(told["done"] for told in progress.values()),
        "wait_seconds": WAIT_SECONDS if any(waits) else 0,
        "tables": tables,
        "progress": progress,
    }


def _progress(run: TableRun) -> dict[str, Any]:
    """What one step did, for people: the position itself is in the manifest."""
    report = run.backfill
    if report is None:
        return {"done": True}
    return {"done": report.done, "items": report.rows, "parts": report.parts, "parts_done": report.parts_done}


def _tables(event: Any) -> str:
    tables = event.get("tables") if isinstance(event, Mapping) else None
    return tables if isinstance(tables, str) else os.environ.get(TABLE, "*")


def _items(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Items that are to be carried on. Raises UsageInvalid for what is no event of a chain table."""
    found = []
    for record in event["Records"]:
        item = record.get("dynamodb", {}).get("NewImage") if isinstance(record, Mapping) else None
        if item is None and isinstance(record, Mapping) and record.get("eventName") == "REMOVE":
            continue  # somebody ended the chain
        if item is None or "S" not in item.get("table", {}):
            raise UsageInvalid(
                "This is no item of a chain table",
                hint='Put {"table": {"S": "orders"}} into a table with the key `table` and a stream of new images.',
            )
        if not item.get("done", {}).get("BOOL", False):
            found.append(item)
    return found


def _move_on(pipeline: Pipeline, item: Mapping[str, Any], *, is_done: bool) -> None:
    """Put the next step in the place of this one, unless another call has: the stream tells the function of it."""
    table = os.environ.get(CHAIN, "")
    if not table:
        raise ConfigInvalid(f"{CHAIN} is not set", hint="Name the chain table in the function's variables.")
    step = item.get("step")
    try:
        pipeline.dynamodb.put_item(
            TableName=table,
            Item={**item, "step": {"N": str(int(step["N"] if step else 0) + 1)}, "done": {"BOOL": is_done}},
            ConditionExpression="#step = :step" if step else "attribute_exists(#table) AND attribute_not_exists(#step)",
            ExpressionAttributeNames={"#step": "step", **({} if step else {"#table": "table"})},
            **({"ExpressionAttributeValues": {":step": step}} if step else {}),
        )
    except Exception as error:
        ours = translate(error, operation="PutItem", table=table)
        if ours.facts.get("aws_code") != "ConditionalCheckFailedException":
            raise ours from error
        log.info("%s: another call has moved on, or somebody has ended the chain", item["table"]["S"])
