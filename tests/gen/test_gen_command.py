"""``tailrace gen`` as a person types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tailrace.aws import Aws, AwsSettings
from tailrace.capture.exports import DynamoDbExportSource
from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


def command(aws: LocalAws, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tailrace", *arguments, "--endpoint-url", aws.endpoint_url],
        env={**os.environ, **aws.env()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(aws: LocalAws, *arguments: str) -> tuple[int, str, str]:
    process = command(aws, *arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_it_makes_the_table_writes_and_says_what_it_wrote(aws: LocalAws) -> None:
    code, out, err = run(aws, "gen", "--table", "said", "--items", "200", "--profile", "single-table", "--seed", "5")
    assert (code, err) == (0, "created table said with a stream\n")
    assert out.startswith("200 changes to said (")
    assert out.endswith("seed 5\n")


def test_one_json_document(aws: LocalAws) -> None:
    code, out, _ = run(aws, "--json", "gen", "--table", "json", "--items", "100", "--mix", "1,0,0", "--seed", "5")
    document = json.loads(out)
    assert code == 0
    assert {name: document[name] for name in ("table", "seed", "inserts", "updates", "deletes")} == {
        "table": "json",
        "seed": 5,
        "inserts": 100,
        "updates": 0,
        "deletes": 0,
    }


def test_without_a_seed_every_run_writes_something_else(aws: LocalAws) -> None:
    seeds = {json.loads(run(aws, "--json", "gen", "--table", "random", "--items", "10")[1])["seed"] for _ in range(2)}
    assert len(seeds) == 2


def test_pitr_makes_the_table_one_that_can_be_exported(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    source = DynamoDbExportSource(Aws(AwsSettings()).client("dynamodb"), "exported")
    assert run(aws, "gen", "--table", "exported", "--items", "10")[0] == 0
    assert source.restorable() is None
    for _ in range(2):  # also where it is on already
        assert run(aws, "gen", "--table", "exported", "--items", "10", "--pitr")[0] == 0
        assert source.restorable() is not None


def test_ctrl_c_says_what_was_written(aws: LocalAws) -> None:
    process = command(aws, "gen", "--table", "stopped", "--items", "1000000", "--rate", "100")
    assert process.stderr is not None
    assert "created table" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert " changes to stopped (" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--burst", "5"), "--burst needs --rate"),
        (("--mix", "1,2"), "three whole numbers"),
        (("--mix", "0,0,0"), "three whole numbers"),
        (("--rate", "0"), "--rate"),
        (("--batch", "26"), "--batch"),
        (("--profile", "wide"), "--profile"),
    ],
)
def test_wrong_usage_is_told(aws: LocalAws, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = run(aws, "gen", "--table", "wrong", *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_a_table_with_other_keys_is_told(aws: LocalAws) -> None:
    assert run(aws, "gen", "--table", "keys", "--items", "1")[0] == 0
    code, _, err = run(aws, "gen", "--table", "keys", "--profile", "narrow")
    assert code == 2
    assert "order_id (S)" in err
