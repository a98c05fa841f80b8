"""The handlers of AWS Lambda. What a trigger needs is imported when it is called, so the one behind a stream stays slim.

| handler | trigger |
|---|---|
| ``tailrace.runtimes.aws_lambda.capture`` | an event source mapping on a DynamoDB stream |
| ``tailrace.runtimes.aws_lambda.on_object`` | S3, or EventBridge, when an object is created in the landing zone |
| ``tailrace.runtimes.aws_lambda.on_schedule`` | EventBridge Scheduler, or anybody |
| ``tailrace.runtimes.aws_lambda.backfill`` | a Step Functions state machine, or the stream of a chain table |
| ``tailrace.runtimes.aws_lambda.dead_letters`` | the queue of dead letters, and the bucket of given-up records |
"""

from __future__ import annotations

from typing import Any


def capture(event: Any, context: Any) -> dict[str, Any]:
    """Records of a stream to a segment in the landing zone; a partial batch response."""
    from tailrace.runtimes.aws_lambda.capturing import handle

    return handle(event, context)


def on_object(event: Any, context: Any) -> dict[str, Any]:
    """Publish the segments that an event tells of, and load what is published of their tables."""
    from tailrace.runtimes.aws_lambda.running import on_object as handle

    return handle(event, context)


def on_schedule(event: Any, context: Any) -> dict[str, Any]:
    """All that is due: publish or capture, go on with a base or an export, load, compact."""
    from tailrace.runtimes.aws_lambda.running import on_schedule as handle

    return handle(event, context)


def backfill(event: Any, context: Any) -> dict[str, Any]:
    """Read on with bases that take longer than one call; says whether they are done."""
    from tailrace.runtimes.aws_lambda.chaining import backfill as handle

    return handle(event, context)


def dead_letters(event: Any, context: Any) -> dict[str, Any]:
    """See to what failed for good: retry once what may pass, keep and announce the rest, land given-up records."""
    from tailrace.runtimes.aws_lambda.burying import dead_letters as handle

    return handle(event, context)
