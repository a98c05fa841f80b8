"""One Spark for all tests of this folder: it takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark", reason="Spark is not installed: make test-spark")

from tailrace.runtimes.spark.session import session

LISTED = Path(__file__).parents[2] / "requirements" / "spark-jars.txt"
JARS = sorted((Path(__file__).parents[2] / ".venv" / "jars").glob("*.jar"))
PATIENCE = [  # py4j leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.parent == Path(__file__).parent:
        for mark in PATIENCE:
            item.add_marker(mark)


READERS = {  # of Iceberg and Delta; the last one reckons with a log of many machines, by 50 tasks
    "spark.jars": ",".join(map(str, JARS)),
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "1",
}


def has_readers() -> bool:
    """Whether all archives are there that are listed."""
    listed = [line.split()[0] for line in LISTED.read_text().splitlines() if not line.startswith("#")]
    names = {"-".join(coordinates.split(":")[1:]) for coordinates in listed}
    return names <= {jar.stem for jar in JARS}


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    readers = READERS if has_readers() else {}
    made = session({"spark.master": "local[2,4]", "spark.driver.memory": "1g", **readers})
    yield made
    made.stop()


@pytest.fixture
def lake_spark(spark: Any) -> Any:
    """A Spark with Iceberg's and Delta's own readers."""
    if not has_readers():
        pytest.skip("Iceberg's and Delta's own readers are not there: make setup-spark, with Maven")
    return spark
