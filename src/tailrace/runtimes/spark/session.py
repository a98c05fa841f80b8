"""Spark itself: the session that runs loads, and what its failures say."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tailrace.errors import ServiceUnavailable, UsageInvalid

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOCAL: Final[Mapping[str, str]] = {
    "spark.master": "local[*,4]",  # a task may fail three times, as on a cluster
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""Where nothing says otherwise: this machine, and nobody else's."""
ARROW_ROWS: Final = (
    "spark.sql.execution.arrow.maxRecordsPerBatch",
    "1000",
)  # an item has up to 400 KB, and a batch 2 GB
LEVEL: Final = "ERROR"


def session(settings: Mapping[str, str]) -> SparkSession:
    """The session of whoever called us (spark-submit, EMR, Glue), or a local one with these settings. Raises UsageInvalid."""
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyspark":
            raise
        raise UsageInvalid("Spark is not installed", hint="pip install 'tailrace[spark]'") from error
    is_submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit, and EMR and Glue with it, say where to run
    if not is_submitted:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # or workers begin another Python, without our packages
    builder = SparkSession.builder.appName("tailrace")
    for name, value in {**({} if is_submitted else LOCAL), **settings}.items():
        builder = builder.config(name, value)
    try:
        made = builder.getOrCreate()
    except Exception as error:
        raise UsageInvalid(
            f"Spark does not start: {_last_line(error)}",
            hint="It needs Java 17 (JAVA_HOME), and settings that it knows in [spark].",
        ) from error
    if ARROW_ROWS[0] not in settings:
        made.conf.set(*ARROW_ROWS)
    made.sparkContext.setLogLevel(LEVEL)
    return made


def types() -> Any:
    """`pyspark.sql.types`, imported when it is needed."""
    from pyspark.sql import types as found

    return found


@contextmanager
def failures_in_words() -> Iterator[None]:
    """What a job of Spark's died of, as ServiceUnavailable: it did nothing that may not be done again."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JError, PySparkException) as error:
        raise ServiceUnavailable(
            f"A Spark job failed: {_last_line(error)}",
            hint="Nothing of it was applied, and it is repeated. Spark's own log says more.",
        ) from error


def _last_line(error: Exception) -> str:
    """What is closest to the cause: of a Python worker's traceback the last line, else the first of the message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    python = [line for line in lines if ": " in line and not line.startswith(("at ", "File ", "Caused by", "org."))]
    return (python or lines or [type(error).__name__])[-1 if len(python) > 1 else 0][:500]
