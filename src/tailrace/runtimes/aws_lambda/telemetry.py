"""What a function says: one JSON document a line, which CloudWatch Logs also reads metrics from (embedded metric format)."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

NAMESPACE: Final = "Tailrace"
RETENTION_SECONDS: Final = 24 * 3600.0  # what a stream keeps
UNITS: Final = {
    "Rows": "Count",
    "Segments": "Count",
    "Bytes": "Bytes",
    "Quarantined": "Count",
    "LagSeconds": "Seconds",
    "IteratorAgeSeconds": "Seconds",
    "HeadroomSeconds": "Seconds",
    "Rescued": "Count",
    "UnloadedSegments": "Count",
    "Failures": "Count",
}
"""Every metric that a function gives. Their one dimension is the table."""


def measured(table: str, now_ms: int, metrics: Mapping[str, float], **more: Any) -> str:
    """A line with metrics of one table; `more` stands beside them for people and Logs Insights."""
    document = {
        "_aws": {
            "Timestamp": now_ms,
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Table"]],
                    "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in metrics],
                }
            ],
        },
        "Table": table,
        **metrics,
        **more,
    }
    return json.dumps(document, default=str)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class JsonLines(logging.Formatter):
    """A log record as one JSON line, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        document = {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document)


def set_up_logging() -> None:
    """Our messages as JSON lines on stdout, once: Lambda's own handler would write them a second time as text."""
    ours = logging.getLogger("tailrace")
    if not any(isinstance(handler.formatter, JsonLines) for handler in ours.handlers):
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonLines())
        ours.addHandler(handler)
    ours.propagate = False
    ours.setLevel(logging.INFO)
