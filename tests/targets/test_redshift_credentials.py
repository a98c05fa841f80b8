"""Where users and passwords come from, how long they are kept, and that nothing repeats them."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from tailrace.clock import ManualClock
from tailrace.errors import NotFound, TailraceError, UserFault
from tailrace.local.client import LocalAws
from tailrace.targets.redshift.credentials import (
    Credentials,
    Login,
    cluster_login,
    login_from,
    parameter_login,
    secret_login,
    workgroup_login,
)

pytestmark = pytest.mark.embedded

CANARY = "canary-8c1f"
LOGIN = json.dumps({"username": "loader", "password": CANARY, "engine": "redshift"})


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


def client(service: str, url: str | None = None) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


def test_a_parameter_holds_both_or_the_password(aws: LocalAws) -> None:
    ssm = client("ssm", aws.endpoint_url)
    ssm.put_parameter(Name="/dwh/both", Value=LOGIN, Type="SecureString")
    ssm.put_parameter(Name="/dwh/password", Value=CANARY, Type="SecureString")
    assert parameter_login(ssm, "/dwh/both")() == Login("loader", CANARY)
    assert parameter_login(ssm, "/dwh/password", "loader")() == Login("loader", CANARY)
    with pytest.raises(NotFound):
        parameter_login(ssm, "/dwh/none")()


def test_a_secret_holds_both(aws: LocalAws) -> None:
    secrets = client("secretsmanager", aws.endpoint_url)
    secrets.create_secret(Name="dwh", SecretString=LOGIN)
    assert secret_login(secrets, "dwh")() == Login("loader", CANARY)
    with pytest.raises(NotFound):
        secret_login(secrets, "none")()


def test_nothing_repeats_a_password(aws: LocalAws) -> None:
    ssm, secrets = client("ssm", aws.endpoint_url), client("secretsmanager", aws.endpoint_url)
    ssm.put_parameter(Name="/dwh/clear", Value=LOGIN, Type="String")
    ssm.put_parameter(Name="/dwh/broken", Value="{" + CANARY, Type="SecureString")
    secrets.create_secret(Name="broken", SecretString=f'"{CANARY}"')
    told = [repr(Login("loader", CANARY)), repr(Credentials(lambda: Login("loader", CANARY), ManualClock()))]
    for fetch in (
        parameter_login(ssm, "/dwh/clear"),
        parameter_login(ssm, "/dwh/broken", "loader"),
        secret_login(secrets, "broken"),
    ):
        with pytest.raises(UserFault) as caught:
            fetch()
        told += [str(caught.value), caught.value.hint, *traceback.format_exception(caught.value)]
    assert not any(CANARY in text for text in told)


def test_iam_gives_a_login_that_ends() -> None:
    redshift, serverless = client("redshift"), client("redshift-serverless")
    end = datetime(2026, 11, 24, 6, tzinfo=UTC)
    ms = int(end.timestamp() * 1000)
    answer = {"DbUser": "IAM:loader", "DbPassword": CANARY, "Expiration": end}
    common = {"ClusterIdentifier": "main", "DbName": "dev", "DurationSeconds": 900}
    with Stubber(redshift) as stub:
        stub.add_response("get_cluster_credentials", answer, {**common, "DbUser": "loader"})
        stub.add_response("get_cluster_credentials_with_iam", answer, common)
        assert cluster_login(redshift, "main", "dev", "loader")() == Login("IAM:loader", CANARY, ms)
        assert cluster_login(redshift, "main", "dev")() == Login("IAM:loader", CANARY, ms)
    with Stubber(serverless) as stub:
        stub.add_response(
            "get_credentials",
            {"dbUser": "IAMR:loader", "dbPassword": CANARY, "expiration": end},
            {"workgroupName": "analytics", "dbName": "dev", "durationSeconds": 900},
        )
        assert workgroup_login(serverless, "analytics", "dev")() == Login("IAMR:loader", CANARY, ms)


def test_a_password_is_fetched_where_one_is_named_and_iam_is_asked_elsewhere() -> None:
    class Asked(Exception):
        pass

    def client(service: str) -> Any:
        class Client:
            def __getattr__(self, method: str) -> Any:
                raise Asked(f"{service} {method}")

        return Client()

    nothing = {"workgroup": None, "cluster": None, "db_user": None, "secret": None, "parameter": None}
    for given, called in {
        ("secret", "cluster"): "secretsmanager get_secret_value",
        ("parameter", "workgroup"): "ssm get_parameter",
        ("cluster",): "redshift get_cluster_credentials_with_iam",
        ("cluster", "db_user"): "redshift get_cluster_credentials ",
        ("workgroup",): "redshift-serverless get_credentials",
    }.items():
        fetch = login_from(client, "dev", **nothing | dict.fromkeys(given, "x"))
        with pytest.raises(TailraceError, match=called):
            fetch()


def test_a_login_is_kept_until_it_ends_or_is_refused() -> None:
    clock, fetched = ManualClock(), []

    def fetch() -> Login:
        fetched.append(Login("loader", f"{CANARY}-{len(fetched)}", clock.now_ms() + 900_000))
        return fetched[-1]

    credentials = Credentials(fetch, clock)
    first = credentials.login()
    clock.ms += 839_000
    assert credentials.login() is first
    clock.ms += 2_000
    second = credentials.login()
    assert second is not first
    credentials.refused(first)  # somebody else has renewed it meanwhile
    assert credentials.login() is second
    credentials.refused(second)
    assert credentials.login().password == f"{CANARY}-2"
