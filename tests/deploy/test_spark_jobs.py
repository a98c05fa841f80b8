"""Jobs for somebody else's Spark: the same bytes each time, and documents that the services' own interfaces take.

``UPDATE_GOLDEN=1 pytest tests/deploy/test_spark_jobs.py`` writes the golden files anew.
"""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest
from click.testing import CliRunner

from tailrace.cli import main
from tailrace.config import Config, check_config
from tailrace.deploy.spark import SERVICES, Service, rendered_spark, s3distcp_steps
from tailrace.errors import UsageInvalid

GOLDEN = Path(__file__).parent / "golden" / "spark"
DOCUMENT: dict[str, Any] = {
    "landing": {"url": "s3://acme-lake/tailrace"},
    "source": {"region": "eu-west-1"},
    "targets": {
        "lake": {"kind": "iceberg", "catalog": "glue", "warehouse": "s3://acme-lake/tables", "engine": "spark"},
        "local": {"kind": "duckdb", "path": "warehouse.duckdb"},
    },
    "spark": {"settings": {"spark.executor.memory": "8g"}},
    "deploy": {"name": "acme", "subnets": ["subnet-0123456789abcdef0"], "security_groups": ["sg-0123456789abcdef0"]},
    "tables": {
        "orders": {"targets": ["lake"]},
        "users": {"targets": ["local"]},
        "small": {"targets": ["lake"], "engine": "process"},
    },
}


def config_with(**changes: Any) -> Config:
    return check_config({**DOCUMENT, **changes}, Path("tailrace.toml"))


def validate(service: str, operation: str, document: Any) -> None:
    """As botocore does before it sends anything."""
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    report = botocore.validate.ParamValidator().validate(document, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    unknown = set(document) - set(model.input_shape.members)
    assert not unknown, unknown


@pytest.mark.parametrize("service", SERVICES)
def test_a_job_is_rendered_as_it_was(service: Service) -> None:
    for name, text in rendered_spark(config_with(), "1.2.3", service).items():
        path = GOLDEN / service / name
        if os.environ.get("UPDATE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text


def test_emr_serverless_takes_the_documents() -> None:
    files = rendered_spark(config_with(), "1.2.3", "emr-serverless")
    validate("emr-serverless", "CreateApplication", {**json.loads(files["application.json"]), "clientToken": "x"})
    run = json.loads(files["run.json"])
    validate("emr-serverless", "StartJobRun", {**run, "clientToken": "x"})
    assert run["jobDriver"]["sparkSubmit"]["entryPointArguments"] == ["--tables", "orders"]
    parameters = run["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    assert parameters.count("spark.executor.memory=") == 1
    assert "spark.executor.memory=8g" in parameters, "the configuration's own setting wins"


def test_glue_takes_the_document() -> None:
    validate("glue", "CreateJob", json.loads(rendered_spark(config_with(), "1.2.3", "glue")["job.json"]))


def test_the_job_is_python_and_asks_for_a_command_that_exists() -> None:
    text = rendered_spark(config_with(), "1.2.3", "glue")["job.py"]
    calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "main"]
    [arguments] = [ast.unparse(call.args[0]) for call in calls]
    filled = eval(arguments, {"config": "x.toml", "table": "orders", "given": type("Given", (), {"budget": "11h"})})
    context = main.make_context("tailrace", list(filled))
    name, command, rest = main.resolve_command(context, [*context._protected_args, *context.args])
    assert name == "load"
    assert command is not None
    assert command.make_context(name, rest, parent=context).params["budget"] == 11 * 3600


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tables": {"users": {"targets": ["local"]}}}, "No table is loaded on Spark"),
        ({"landing": {"url": "file:./landing"}}, "which a cluster does not reach"),
        (
            {
                "targets": {"lake": {"kind": "iceberg", "warehouse": "lake", "engine": "spark"}},
                "tables": {"orders": {}},
            },
            "lies on this machine's disk",
        ),
        ({"tables": {"orders": {}}}, "orders goes to local, which lies on this machine's disk"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageInvalid, match=said) as caught:
        rendered_spark(config_with(**changes), "1.2.3", "glue")
    assert caught.value.hint


def test_emr_takes_the_steps_that_copy_changes() -> None:
    steps = s3distcp_steps(config_with(), ["orders", "users"], 64_000_000)
    validate("emr", "AddJobFlowSteps", {"JobFlowId": "j-1", "Steps": steps})
    assert steps[0]["HadoopJarStep"]["Args"] == [
        "s3-dist-cp",
        "--src=s3://acme-lake/tailrace/orders/changes/",
        "--dest=s3://acme-lake/tailrace/_ndjson/orders/",
        r"--groupBy=.*/dt=([0-9-]+)/hr=([0-9]+)/.*\.json\.gz",
        "--targetSize=64",
        "--outputCodec=gz",
    ]


TOML = """
[landing]
url = "s3://acme-lake/tailrace"
[targets.lake]
kind = "iceberg"
catalog = "glue"
warehouse = "s3://acme-lake/tables"
engine = "spark"
[tables.orders]
"""


def test_the_commands_write_and_print_them(tmp_path: Path) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_text(TOML)
    folder = tmp_path / "spark"
    arguments = ["--config", str(file), "spark", "render", "--to", "glue", str(folder)]
    first = CliRunner().invoke(main, arguments)
    assert first.exit_code == 0, first.output
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "job.json", "job.py"]
    (folder / "job.json").write_text("{}")
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    assert "job.json is not as it was rendered" in again.output
    steps = CliRunner().invoke(main, ["--config", str(file), "compact", "--render", "s3distcp"])
    assert steps.exit_code == 0, steps.output
    assert json.loads(steps.stdout)[0]["HadoopJarStep"]["Jar"] == "command-runner.jar"
