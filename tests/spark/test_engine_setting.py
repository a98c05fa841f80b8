"""One setting moves a table from one engine to the other and back, by the commands that a person types, on S3."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pyspark
import pytest

from tailrace.config import check_config
from tailrace.deploy.spark import rendered_spark
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline

pytestmark = pytest.mark.embedded

ON_AWS = check_config(
    {
        "landing": {"url": "s3://lake/landing"},
        "targets": {"ice": {"kind": "iceberg", "catalog": "glue", "warehouse": "s3://lake/tables", "engine": "spark"}},
        "tables": {"Orders": {"name": "orders"}},
    },
    Path("tailrace.toml"),
)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


class Site:
    """A table in the embedded AWS, its landing zone and its Iceberg table in a bucket."""

    def __init__(self, folder: Path, aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in aws.env().items():
            monkeypatch.setenv(name, value)  # for commands and for what Spark begins
        self.folder, self.aws = folder, aws
        boto3.client("s3", endpoint_url=aws.endpoint_url).create_bucket(Bucket="lake")

    def engine(self, engine: str) -> None:
        """Write the configuration with this engine and nothing else changed."""
        (self.folder / "tailrace.toml").write_text(
            f"""
            [landing]
            url = "s3://lake/landing"
            [source]
            endpoint_url = "{self.aws.endpoint_url}"
            [targets.ice]
            kind = "iceberg"
            warehouse = "s3://lake/tables"
            uri = "sqlite:///{self.folder}/catalog.db"
            [spark]
            settings = {{ "spark.master" = "local[2,4]", "spark.driver.memory" = "1g" }}
            range_bytes = "1MiB"
            [tables.Orders]
            engine = "{engine}"
            """
        )

    def run(self, *arguments: str) -> str:
        """A command in a process of its own, as Spark would have it."""
        command = [sys.executable, "-m", "tailrace", *arguments]
        found = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def submit(self, code: int = 0) -> None:
        """The job that is rendered for EMR and Glue, as they begin it."""
        job = self.folder / "job.py"
        job.write_text(rendered_spark(ON_AWS, "1.2.3", "glue")["job.py"])
        submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
        settings = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
        }
        options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
        command = [str(submit), "--master", "local[2,4]", *options, str(job), "--tables", "Orders", "--JOB_NAME", "x"]
        environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
        found = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert found.returncode == code, found.stderr[-4000:]

    def engines(self) -> list[str]:
        """Who made each snapshot, oldest first."""
        target = Pipeline.from_config(self.folder / "tailrace.toml").target("ice")
        snapshots = sorted(target.lake.tables.load("Orders").metadata.snapshots, key=lambda s: s.sequence_number)  # type: ignore[attr-defined]
        notes = [snapshot.summary.additional_properties for snapshot in snapshots]
        return [note["tailrace.engine"] for note in notes if "tailrace.engine" in note]


def test_one_setting_moves_a_table_between_engines(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, aws, monkeypatch)
    for number, engine in enumerate(("process", "spark", "process")):
        site.engine(engine)
        site.run("gen", "--table", "Orders", "--items", "400", "--seed", str(number))
        if engine == "spark":
            site.run("capture")
            site.submit()
        else:
            site.run("run", "--once")
        verified = json.loads(site.run("verify", "--json"))
        assert (verified["missing"], verified["extra"], verified["different"]) == (0, 0, 0)
        assert verified["keys_source"] == verified["keys_target"] > 0
    engines = site.engines()
    assert [name for name, _ in itertools.groupby(engines)] == ["process", "spark", "process"], engines


def test_the_job_ends_with_what_its_loads_end_with(tmp_path: Path) -> None:
    site = Site.__new__(Site)
    site.folder = tmp_path
    (tmp_path / "tailrace.toml").write_text("[landing]")
    site.submit(code=2)
