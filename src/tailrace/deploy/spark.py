"""Loads on somebody else's Spark: the documents that make a job of them on EMR Serverless or Glue. Values in, texts out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

from tailrace.config import Config, DuckDbConfig, IcebergConfig
from tailrace.deploy.files import marked
from tailrace.errors import UsageInvalid
from tailrace.landing import split_url

Service: TypeAlias = Literal["emr-serverless", "glue"]
SERVICES: Final[tuple[Service, ...]] = ("emr-serverless", "glue")

EMR_RELEASE: Final = "emr-7.9.0"  # Spark 3.5 and Java 17
GLUE_VERSION: Final = "5.0"  # Spark 3.5, Java 17, Python 3.11
TIMEOUT_MINUTES: Final = 720
EXTRAS: Final = "tailrace[iceberg,fast]"
LOG_FOLDER: Final = "spark-logs"


def rendered_spark(config: Config, version: str, service: Service) -> dict[str, str]:
    """Relative path → text of every file, in order of their names. Raises UsageInvalid where no such job can work."""
    tables = spread_tables(config)
    bucket, folder = _landing(config)
    home = "/".join(part for part in (bucket, folder, "_spark") if part)
    files = {"README.md": _readme(config, version, service, tables, home), "job.py": _JOB}
    if service == "emr-serverless":
        files |= {
            "Dockerfile": _dockerfile(version),
            "application.json": _json(_application(config)),
            "run.json": _json(_run(config, tables, home)),
        }
    else:
        files["job.json"] = _json(_glue(config, version, tables, home))
    return {name: marked(name, files[name], version) for name in sorted(files)}


def spread_tables(config: Config) -> list[str]:
    """The tables that have loads on Spark. Raises UsageInvalid where there are none, or their targets lie on one machine."""
    tables = [
        table
        for table in config.tables
        if any(config.engine_of(table, target) == "spark" for target in config.targets_of(table))
    ]
    if not tables:
        raise UsageInvalid(
            "No table is loaded on Spark",
            hint="Set engine = \"spark\" in an Iceberg target's section, or in a table's.",
        )
    for table in tables:
        for name in config.targets_of(table):
            target = config.targets[name]
            is_sqlite = isinstance(target, IcebergConfig) and (target.uri or "").startswith("sqlite")
            if is_sqlite or getattr(target, "is_local", isinstance(target, DuckDbConfig)):
                raise UsageInvalid(
                    f"{table} goes to {name}, which lies on this machine's disk, and no cluster reaches that",
                    hint="Give the table other targets: on S3, with a catalog that all reach (glue, rest, or sql in a database).",
                )
    return tables


def s3distcp_steps(config: Config, tables: Sequence[str], target_bytes: int) -> list[dict[str, Any]]:
    """Steps of EMR's AddJobFlowSteps, one a table: its changes as few large objects an hour, beside the landing zone."""
    bucket, folder = _landing(config)
    if "_" in bucket:
        raise UsageInvalid(f"S3DistCp takes no bucket with an underscore: {bucket}", hint="Use `tailrace compact`.")
    steps = []
    for table in tables:
        source = "/".join(part for part in (bucket, folder, table, "changes") if part)
        copies = "/".join(part for part in (bucket, folder, "_ndjson", table) if part)
        arguments = [
            *("s3-dist-cp", f"--src=s3://{source}/", f"--dest=s3://{copies}/"),
            r"--groupBy=.*/dt=([0-9-]+)/hr=([0-9]+)/.*\.json\.gz",
            *(f"--targetSize={max(1, target_bytes // 10**6)}", "--outputCodec=gz"),
        ]
        steps.append(
            {
                "Name": f"tailrace: changes of {table} gathered",
                "ActionOnFailure": "CONTINUE",
                "HadoopJarStep": {"Jar": "command-runner.jar", "Args": arguments},
            }
        )
    return steps


def _landing(config: Config) -> tuple[str, str]:
    scheme, bucket, folder = split_url(config.landing.url)
    if scheme != "s3":
        raise UsageInvalid(
            f"The landing zone is {config.landing.url}, which a cluster does not reach",
            hint='Set [landing] url = "s3://bucket/prefix".',
        )
    return bucket, folder


def _application(config: Config) -> dict[str, Any]:
    """What EMR Serverless's CreateApplication takes."""
    return {
        "name": f"{config.deploy.name}-spark",
        "releaseLabel": EMR_RELEASE,
        "type": "SPARK",
        "architecture": "X86_64",
        "imageConfiguration": {"imageUri": "IMAGE"},
        "autoStartConfiguration": {"enabled": True},
        "autoStopConfiguration": {"enabled": True, "idleTimeoutMinutes": 5},
        "maximumCapacity": {"cpu": "400 vCPU", "memory": "3000 GB", "disk": "20000 GB"},
        **_network(config),
    }


def _network(config: Config) -> dict[str, Any]:
    if not config.deploy.subnets:
        return {}
    network = {"subnetIds": config.deploy.subnets, "securityGroupIds": config.deploy.security_groups}
    return {"networkConfiguration": network}


def _run(config: Config, tables: Sequence[str], home: str) -> dict[str, Any]:
    """What EMR Serverless's StartJobRun takes."""
    settings = {**_CLUSTER, **config.spark.settings}
    return {
        "applicationId": "APPLICATION",
        "executionRoleArn": "arn:aws:iam::ACCOUNT:role/ROLE",
        "name": f"{config.deploy.name}-load",
        "executionTimeoutMinutes": TIMEOUT_MINUTES,
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": f"s3://{home}/job.py",
                "entryPointArguments": ["--tables", " ".join(tables)],
                "sparkSubmitParameters": " ".join(f"--conf {name}={value}" for name, value in settings.items()),
            }
        },
        "configurationOverrides": {
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"s3://{home}/{LOG_FOLDER}/"}}
        },
    }


def _glue(config: Config, version: str, tables: Sequence[str], home: str) -> dict[str, Any]:
    """What Glue's CreateJob takes."""
    settings = [f"{name}={value}" for name, value in config.spark.settings.items()]
    return {
        "Name": f"{config.deploy.name}-load",
        "Role": "ROLE",
        "GlueVersion": GLUE_VERSION,
        "WorkerType": "G.2X",
        "NumberOfWorkers": 10,
        "Timeout": TIMEOUT_MINUTES,
        "MaxRetries": 0,
        "ExecutionProperty": {"MaxConcurrentRuns": 1},
        "Command": {"Name": "glueetl", "ScriptLocation": f"s3://{home}/job.py", "PythonVersion": "3"},
        "DefaultArguments": {
            "--additional-python-modules": f"{EXTRAS}=={version}",
            "--extra-files": f"s3://{home}/tailrace.toml",
            "--tables": " ".join(tables),
            **({"--conf": " --conf ".join(settings)} if settings else {}),
        },
    }


_CLUSTER: Final = {
    "spark.executor.cores": "4",
    "spark.executor.memory": "6g",
    "spark.executor.memoryOverhead": "10g",  # the work is Python's, and this is where Python's memory is
    "spark.driver.memory": "6g",
}


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _dockerfile(version: str) -> str:
    return f"""\
FROM public.ecr.aws/emr-serverless/spark/{EMR_RELEASE}:latest
USER root
RUN dnf install -y python3.11 python3.11-pip
RUN python3.11 -m pip install --no-cache-dir "{EXTRAS}=={version}" "pandas>=2,<3"
COPY tailrace.toml /opt/tailrace/tailrace.toml
ENV PYSPARK_PYTHON=/usr/bin/python3.11 PYSPARK_DRIVER_PYTHON=/usr/bin/python3.11
USER hadoop:hadoop
"""


_JOB: Final = '''\
"""Loads what waits of some tables, on this cluster's executors. Arguments: --tables "NAME NAME", --budget DURATION of each."""

import argparse
import os
import sys

from pyspark.sql import SparkSession

from tailrace.cli import main

PLACES = ("tailrace.toml", "/opt/tailrace/tailrace.toml")

parser = argparse.ArgumentParser()
parser.add_argument("--tables", required=True)
parser.add_argument("--budget", default="11h")
given, _ = parser.parse_known_args()  # Glue adds its own
SparkSession.builder.appName("tailrace").getOrCreate()
config = next(place for place in PLACES if os.path.exists(place))
codes = [
    main(["--config", config, "load", "--tables", table, "--budget", given.budget], standalone_mode=False) or 0
    for table in given.tables.split()
]
sys.exit(max(codes))
'''


def _readme(config: Config, version: str, service: Service, tables: Sequence[str], home: str) -> str:
    is_emr = service == "emr-serverless"
    image = f"ACCOUNT.dkr.ecr.REGION.amazonaws.com/{config.deploy.name}-spark:{version}"
    steps = _EMR_STEPS if is_emr else _GLUE_STEPS
    return _README.format(
        service="EMR Serverless" if is_emr else "Glue",
        principal=f"{service}.amazonaws.com",
        tables=", ".join(f"`{table}`" for table in tables),
        version=version,
        home=home,
        steps=steps.format(home=home, image=image, name=config.deploy.name),
    )


_README: Final = """\
# Loads on {service}

The job loads what waits of {tables}, into all of their targets.
What it does and how it stays exact is in docs/spark.md of Tailrace {version}. These documents were checked against the
interfaces of the services, and never run there: try them on a table of little worth first.

The job's role may do what `tailrace iam --role run` lists, read and write `s3://{home}/`, and whatever the Iceberg catalog
asks for (docs/targets/iceberg.md). Its trust is for `{principal}`.
One loader works on a table at a time, wherever it runs: others wait, or leave it.

```sh
cp …/tailrace.toml .
aws s3 cp job.py s3://{home}/job.py
{steps}```
"""
_EMR_STEPS: Final = """\
docker build --platform linux/amd64 --tag {image} .
docker push {image}
# in application.json put that name in the place of IMAGE, then
aws emr-serverless create-application --cli-input-json file://application.json
# in run.json put the application's id in the place of APPLICATION, the role's ARN in that of the other, then
aws emr-serverless start-job-run --cli-input-json file://run.json
"""
_GLUE_STEPS: Final = """\
aws s3 cp tailrace.toml s3://{home}/tailrace.toml
# in job.json put the role's name or ARN in the place of ROLE, then
aws glue create-job --cli-input-json file://job.json
aws glue start-job-run --job-name {name}-load
"""
