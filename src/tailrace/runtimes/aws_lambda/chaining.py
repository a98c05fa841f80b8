"""Bases that take longer than Lambda lets a function run: a step a call, and somebody calls again until all is done.

All positions are in the manifest, so a step that comes twice, or two at once, read nothing twice into a target. The caller is a
Step Functions state machine, or an item of a DynamoDB table whose stream calls the function.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, Final

from tailrace.aws import translate
from tailrace.clock import Budget
from tailrace.errors import ConfigInvalid, UsageInvalid
from tailrace.pipeline import Pipeline, TableRun
from tailrace.runtimes.aws_lambda.running import announced, pipeline_here, seconds_for
from tailrace.runtimes.aws_lambda.telemetry import set_up_logging

log = logging.getLogger(__name__)

CHAIN_TABLE: Final = "TAILRACE_CHAIN_TABLE"
WAIT_SECONDS: Final = 60  # while AWS writes an export there is nothing to do


def backfill(event: Any, context: Any) -> dict[str, Any]:
    """Read on with the bases of all tables, or of ``{"tables": "orders*"}``, for as long as Lambda allows.

    Answers ``{"done": false, "wait_seconds": 0, "tables": {…}}``; call again after so many seconds unless it is done. Raises the
    first failure, when all tables had their turn.
    """
    set_up_logging()
    return _step(pipeline_here(), _tables(event), context)


def chain(event: Any, context: Any) -> dict[str, Any]:
    """A step for each item of the chain table that has changed and is not done; then the item moves on, which calls the next one.

    The item is ``{"chain": "any name", "step": 0, "tables": "orders*"}``; `chain` is the key of its table, which
    TAILRACE_CHAIN_TABLE names. Whoever comes second with a step moves nothing.
    """
    set_up_logging()
    pipeline, done = pipeline_here(), {}
    for item in _items(event):
        answer = _step(pipeline, item.get("tables", {}).get("S", "*"), context)
        done[item["chain"]["S"]] = answer["done"]
        Budget(pipeline.clock, seconds_for(context)).wait(answer["wait_seconds"])
        _move_on(pipeline, item, answer)
    return done


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
    return {
        "done": all(_is_done(run) for run in runs),
        "wait_seconds": WAIT_SECONDS if any(waits) else 0,
        "tables": {run.table: _progress(run) for run in runs},
    }


def _is_done(run: TableRun) -> bool:
    return run.backfill is None or run.backfill.done


def _progress(run: TableRun) -> dict[str, Any]:
    """What one step did, for people: the position itself is in the manifest."""
    report = run.backfill
    if report is None:
        return {"done": True}
    return {"done": report.done, "items": report.rows, "parts": report.parts, "parts_done": report.parts_done}


def _tables(event: Any) -> str:
    tables = event.get("tables", "*") if isinstance(event, Mapping) else "*"
    return str(tables)


def _items(event: Any) -> list[Mapping[str, Any]]:
    """Items that are to be carried on. Raises UsageInvalid for what is no event of a chain table."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    found = []
    for record in records or ():
        item = record.get("dynamodb", {}).get("NewImage")
        if item is None:
            continue  # somebody deleted it: the chain ends
        if "S" not in item.get("chain", {}) or "N" not in item.get("step", {}):
            raise UsageInvalid(
                "This is no item of a chain table",
                hint='Put {"chain": {"S": "orders"}, "step": {"N": "0"}, "tables": {"S": "orders"}}; '
                "the stream needs new images.",
            )
        if not item.get("done", {}).get("BOOL", False):
            found.append(item)
    return found


def _move_on(pipeline: Pipeline, item: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    table = os.environ.get(CHAIN_TABLE, "")
    if not table:
        raise ConfigInvalid(f"{CHAIN_TABLE} is not set", hint="Name the chain table in the function's variables.")
    try:
        pipeline.dynamodb.update_item(
            TableName=table,
            Key={"chain": item["chain"]},
            UpdateExpression="SET #step = :next, #done = :done",
            ConditionExpression="#step = :step",
            ExpressionAttributeNames={"#step": "step", "#done": "done"},
            ExpressionAttributeValues={
                ":step": item["step"],
                ":next": {"N": str(int(item["step"]["N"]) + 1)},
                ":done": {"BOOL": answer["done"]},
            },
        )
    except Exception as error:
        ours = translate(error, operation="UpdateItem", table=table)
        if ours.facts.get("aws_code") != "ConditionalCheckFailedException":
            raise ours from error
        log.info("chain %s: another call has moved on from step %s", item["chain"]["S"], item["step"]["N"])
