"""The handlers of AWS Lambda. What a trigger needs is imported when it is called, so the one behind a stream stays slim.

| handler | trigger |
|---|---|
| ``tailrace.runtimes.aws_lambda.capture`` | an event source mapping on a DynamoDB stream |
"""

from __future__ import annotations

from typing import Any


def capture(event: Any, context: Any) -> dict[str, Any]:
    """Records of a stream to a segment in the landing zone; a partial batch response."""
    from tailrace.runtimes.aws_lambda.capturing import handle

    return handle(event, context)
