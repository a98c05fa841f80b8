"""`tailrace plan`: figures that a reader can recompute, from arguments and from a table that lives in the embedded AWS."""

from __future__ import annotations

import json
import re
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import boto3
import pytest
from aws_site import AwsSite, enter, table_for
from cli_project import Project
from click.testing import CliRunner, Result
from recorder import Recorder

from tailrace.capture.lambda_events import batch_of
from tailrace.cli import main
from tailrace.clock import SystemClock
from tailrace.decide import plan as rules
from tailrace.landing import Landing
from tailrace.landing.s3 import S3Store
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline
from tailrace.prices import FILE
from tailrace.runtimes.aws_lambda.capturing import land

QUIET = ("--items", "1000000", "--item-bytes", "1KB", "--writes-per-second", "0.1")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plan", *arguments])


def planned(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# ---- from arguments


@pytest.mark.parametrize("target", get_args(rules.Target))
def test_every_line_is_its_quantity_times_the_price_in_the_file(target: str) -> None:
    prices = tomllib.loads(FILE.read_text(), parse_float=Decimal)["prices"]
    found = planned(*QUIET, "--target", target)
    for part in [*found["ways"], *found["bases"]]:
        amounts = []
        for line in part["lines"]:
            price = prices[line["price"]]
            amounts.append(Decimal(line["quantity"]) * Decimal(price["amount"]) / price["per"])
            assert Decimal(line["amount"]) == amounts[-1]
            assert Decimal(line["unit_price"]) == price["amount"]
        assert Decimal(part.get("month", part.get("once"))) == sum(amounts)


def test_a_quantity_is_what_it_says_it_is() -> None:
    """Where it is written as a product or sum of numbers, that gives it."""
    checked = 0
    for way in planned(*QUIET, "--target", "redshift")["ways"]:
        for line in way["lines"]:
            numbers = re.sub(r"(?<=\d) (?!×|\+)[^×+()]*", "", line["how"].replace(",", "")).replace("×", "*").strip()
            if re.fullmatch(r"[\d .*+()]+", numbers) and line["unit"] in ("requests", "calls", "GetRecords calls"):
                assert abs(Decimal(line["quantity"]) - Decimal(str(eval(numbers)))) <= 1, line
                checked += 1
    assert checked > 20


def test_a_small_table_a_quarter_of_an_hour_behind_costs_less_than_a_dollar() -> None:
    for target, way in (("postgres", "lambda-scheduled"), ("duckdb", "streams-scheduled")):
        found = planned(*QUIET, "--target", target, "--freshness", "15m")
        ways = {way["name"]: way for way in found["ways"]}
        assert found["way"] == way
        assert Decimal(ways[way]["month_apart"]) < 1
        assert Decimal(ways["exports"]["month_apart"]) > 1  # which is said in the documentation
        assert not ways["exports"]["fits"]


def test_prices_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(FILE.read_text().replace('region = "us-east-1"', 'region = "eu-west-1"').replace("0.375", "0.4125"))
    found = planned(*QUIET, "--prices", str(own))
    assert found["prices"]["region"] == "eu-west-1"
    lines = [line for way in found["ways"] for line in way["lines"] if line["price"] == "redshift"]
    assert {line["unit_price"] for line in lines} == {"0.4125"}
    own.write_text("format = 1")
    result = run(*QUIET, "--prices", str(own))
    assert result.exit_code == 2
    assert "TAILRACE-101" in result.stderr
    assert "Begin with a copy of" in result.stderr


def test_an_item_of_a_table_is_its_share_rounded_up() -> None:
    assert planned("--items", "3", "--table-bytes", "1000", "--writes-per-second", "1e-3")["item_bytes"] == 334


def test_the_bill_of_another_way() -> None:
    result = run(*QUIET, "--way", "exports")
    assert "exports: on_schedule, every 5m" in result.stdout
    assert 'window = "15m"' in result.stdout
    assert "once, the full export:" in result.stdout


def test_nothing_fits() -> None:
    result = run("--items", "10", "--item-bytes", "1", "--writes-per-second", "1", "--freshness", "1s")
    assert result.exit_code == 0
    assert "None is fresh enough and can do it" in result.stdout
    assert planned("--items", "10", "--item-bytes", "1", "--writes-per-second", "1", "--freshness", "1s")["way"] is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--items", "5", "--writes-per-second", "1"], "needs either --item-bytes or --table-bytes"),
        (["--items", "5", "--item-bytes", "1", "--table-bytes", "5", "--writes-per-second", "1"], "needs either"),
        (["--items", "5", "--item-bytes", "1KB"], "needs --writes-per-second"),
        (
            ["--items", "5", "--item-bytes", "1MB", "--writes-per-second", "1"],
            "An item of 1000000 bytes does not exist",
        ),
        (["--items", "5", "--item-bytes", "big"], "'big' is no size"),
        (["--items", "5", "--item-bytes", "1", "--writes-per-second", "nan"], "a rate is between"),
        (["--items", "5", "--item-bytes", "1", "--writes-per-second", "some"], "'some' is no number"),
        (["--items", "5", "--item-bytes", "0", "--writes-per-second", "1"], "An item of 0 bytes does not exist"),
        (["--items", "0"], "--items"),
    ],
)
def test_what_is_no_table_is_refused(arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


# ---- from a configured table


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(shards=3) as endpoint:
        yield endpoint


@pytest.fixture
def site(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> AwsSite:
    enter(aws, tmp_path, monkeypatch)
    site = AwsSite(tmp_path, aws, table_for(request))
    site.run("gen", "--table", site.table, "--items", "40", "--seed", "1")
    return site


def put_writes(aws: LocalAws, table: str, *, days_ago: int, units: float) -> None:
    """What CloudWatch would say of a day."""
    boto3.client("cloudwatch", endpoint_url=aws.endpoint_url).put_metric_data(
        Namespace="AWS/DynamoDB",
        MetricData=[
            {
                "MetricName": "ConsumedWriteCapacityUnits",
                "Dimensions": [{"Name": "TableName", "Value": table}],
                "Timestamp": datetime.now(UTC) - timedelta(days=days_ago),
                "Value": units,
            }
        ],
    )


@pytest.mark.embedded
def test_a_configured_table_is_looked_at(aws: LocalAws, site: AwsSite) -> None:
    put_writes(aws, site.table, days_ago=4, units=86_400 * 3)
    put_writes(aws, site.table, days_ago=1, units=86_400 * 5)
    described = boto3.client("dynamodb", endpoint_url=aws.endpoint_url).describe_table(TableName=site.table)["Table"]
    found = site.json("plan")
    assert (found["table"], found["shards"], found["target"]) == (site.table, 3, "duckdb")
    assert found["items"] == described["ItemCount"] > 0
    assert found["item_bytes"] == -(-described["TableSizeBytes"] // found["items"])
    assert Decimal(found["writes_per_second"]) == 2  # eight days' worth of units in four days


@pytest.mark.embedded
def test_what_is_given_wins_and_is_not_asked_for(aws: LocalAws, site: AwsSite) -> None:
    with Recorder(aws.endpoint_url) as recorder:
        site.file.write_text(site.file.read_text().replace(aws.endpoint_url, recorder.url))
        found = site.json("plan", "--writes-per-second", "7.5", "--shards", "12", "--target", "redshift")
        assert (found["writes_per_second"], found["shards"], found["target"]) == ("7.5", 12, "redshift")
        assert recorder.counts == {"DescribeTable": 1}


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--item-bytes", "0"], "An item of 0 bytes does not exist"),
        (["--table-bytes", "0"], "An item of 0 bytes does not exist"),
        (["--item-bytes", "1KB", "--table-bytes", "1GB"], "say the same"),
    ],
)
def test_sizes_that_no_table_has_are_refused_for_a_configured_one(
    site: AwsSite, arguments: list[str], says: str
) -> None:
    assert says in site.run("plan", *arguments, code=2).stderr


def test_without_a_stream_the_shards_are_an_estimate(aws: LocalAws, site: AwsSite) -> None:
    boto3.client("dynamodb", endpoint_url=aws.endpoint_url).update_table(
        TableName=site.table, StreamSpecification={"StreamEnabled": False}
    )
    found = site.json("plan")
    assert (found["shards"], found["writes_per_second"]) == (4, "0")


@pytest.mark.embedded
def test_cloudwatch_that_refuses_says_what_to_do(aws: LocalAws, site: AwsSite) -> None:
    with Recorder(aws.endpoint_url) as recorder:
        site.file.write_text(site.file.read_text().replace(aws.endpoint_url, recorder.url))
        recorder.refuse("GetMetricStatistics")
        result = site.run("plan", code=2)
        assert "error TAILRACE-103" in result.stderr
        assert "Allow cloudwatch:GetMetricStatistics" in result.stderr


def test_a_table_that_does_not_exist(project: Project, aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(aws, project.folder, monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    result = project.run("plan")
    assert result.exit_code == 2
    assert "TAILRACE-104" in result.stderr


# ---- what is called measured


@pytest.fixture
def on_s3(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[AwsSite, Recorder]]:
    """A table of one shard, landing on S3, and all requests on record."""
    enter(aws, tmp_path, monkeypatch)
    with LocalAws() as single, Recorder(single.endpoint_url) as recorder:
        boto3.client("s3", endpoint_url=single.endpoint_url).create_bucket(Bucket="lake")
        site = AwsSite(tmp_path, single, "orders", landing="s3://lake/landing")
        site.file.write_text(site.file.read_text().replace(single.endpoint_url, recorder.url))
        site.run("gen", "--table", "orders", "--items", "40", "--seed", "1", "--endpoint-url", single.endpoint_url)
        site.run("run", "--until-caught-up")
        yield site, recorder


def more_looks(began: float) -> int:
    """What a tick that takes longer than a few seconds, on a busy machine, may ask more: it polls, and looks around."""
    return max(0, int(time.monotonic() - began) - 3)


def s3(counts: Counter[str]) -> tuple[int, int]:
    """Requests that S3 charges as writes and as reads."""
    writes = sum(counts[name] for name in ("PutObject", "ListObjectsV2", "PostObject"))
    return writes, sum(counts[name] for name in ("GetObject", "HeadObject", "HeadBucket"))


@pytest.mark.embedded
def test_a_tick_and_a_flush_make_no_more_requests_than_a_plan_reckons_with(on_s3: tuple[AwsSite, Recorder]) -> None:
    site, recorder = on_s3
    table = boto3.resource("dynamodb", endpoint_url=site.aws.endpoint_url).Table("orders")
    item = table.scan(Limit=1)["Items"][0]
    table.put_item(Item={**item, "n": 1})
    recorder.seen.clear()
    began = time.monotonic()
    site.run("run", "--until-caught-up")
    late = more_looks(began)
    writes, reads = s3(recorder.counts)
    assert writes <= rules.TICK_WRITES + late
    assert reads <= rules.TICK_READS + late
    assert recorder.counts["GetRecords"] <= rules.TICK_POLLS + late

    stop = threading.Event()
    running = threading.Thread(target=Pipeline.from_config(site.file).run, kwargs={"stop": stop})
    running.start()
    try:
        assert wait_for(lambda: recorder.counts["GetRecords"] > 10)
        recorder.seen.clear()
        began = time.monotonic()
        for n in range(30):
            table.put_item(Item={**item, "n": n + 2})
            time.sleep(0.1)
        time.sleep(1.5)
        counts, seconds = recorder.counts, time.monotonic() - began
    finally:
        stop.set()
        running.join()
    flushes = sum(1 for name, place in recorder.seen if name == "PutObject" and "/changes/" in place)
    writes, reads = s3(counts)
    assert flushes >= 2
    assert writes <= rules.FLUSH_WRITES * (flushes + 1)
    assert reads <= rules.FLUSH_READS * (flushes + 1) + 2 + seconds / rules.LOOK_SECONDS
    assert counts["GetRecords"] <= rules.POLLS_BUSY * (seconds + 1)


def delivered(aws: LocalAws, arn: str, seen: set[str]) -> int:
    """What the function behind the stream does with the records that are new, in this process: a file for each shard."""
    streams = boto3.client("dynamodbstreams", endpoint_url=aws.endpoint_url)
    landing = Landing(S3Store(boto3.client("s3", endpoint_url=aws.endpoint_url), "lake", "landing"), "orders")
    files = 0
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        page = streams.get_records(ShardIterator=streams.get_shard_iterator(**start)["ShardIterator"])
        records = [r for r in page["Records"] if r["dynamodb"]["SequenceNumber"] not in seen]
        for record in records:
            record["eventSourceARN"] = arn
            record["dynamodb"]["ApproximateCreationDateTime"] = time.time()
            seen.add(record["dynamodb"]["SequenceNumber"])
        if records:
            land(batch_of({"Records": records}), landing, SystemClock(), lambda: 60.0)
            files += 1
    return files


@pytest.mark.embedded
def test_a_scheduled_function_makes_no_more_requests_than_a_plan_reckons_with(on_s3: tuple[AwsSite, Recorder]) -> None:
    site, recorder = on_s3
    dynamodb = boto3.client("dynamodb", endpoint_url=site.aws.endpoint_url)
    arn = dynamodb.describe_table(TableName="orders")["Table"]["LatestStreamArn"]
    site.file.write_text(f'{site.file.read_text()}\ncapture = "lambda"\nbase = "none"\n')
    boto3.client("s3", endpoint_url=site.aws.endpoint_url).delete_object(
        Bucket="lake", Key="landing/orders/manifest.json"
    )  # captured in another way before
    (site.folder / "warehouse.duckdb").unlink()
    pipeline, seen = Pipeline.from_config(site.file), set[str]()
    delivered(site.aws, arn, seen)
    assert pipeline.run(until_caught_up=True)[0].error is None
    item = dynamodb.scan(TableName="orders", Limit=1)["Items"][0]
    dynamodb.put_item(TableName="orders", Item={**item, "n": {"N": "7"}})
    assert delivered(site.aws, arn, seen) == 1
    recorder.seen.clear()
    began = time.monotonic()
    assert pipeline.run(until_caught_up=True)[0].error is None
    late = more_looks(began)
    writes, reads = s3(recorder.counts)
    assert writes <= rules.SCHEDULE_WRITES + late
    assert reads <= rules.SCHEDULE_READS + 2 * rules.FILE_READS + late  # one file now, and one not long ago
    assert recorder.counts["GetRecords"] <= rules.SCHEDULE_POLLS + late


def wait_for(condition: Any) -> bool:
    until = time.monotonic() + 30
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
