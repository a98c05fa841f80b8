"""One Spark for all tests of this folder: it takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark", reason="Spark is not installed: make test-spark")

from tailrace.runtimes.spark.session import session

JARS = sorted((Path(__file__).parents[2] / ".venv" / "jars").glob("*.jar"))
PATIENCE = [  # py4j leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.parent == Path(__file__).parent:
        for mark in PATIENCE:
            item.add_marker(mark)


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    jars = {"spark.jars": ",".join(map(str, JARS))} if JARS else {}
    made = session({"spark.master": "local[2,4]", "spark.driver.memory": "1g", **jars})
    yield made
    made.stop()


@pytest.fixture
def iceberg_spark(spark: Any) -> Any:
    """A Spark with Iceberg's own reader."""
    if not JARS:
        pytest.skip("Iceberg's own reader is not there: make setup-spark, with Maven")
    return spark
