"""`tailrace.toml`: what is accepted, and for every mistake a sentence with file, place and remedy."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import (
    FILE_BYTES_MAX,
    Config,
    IcebergConfig,
    check_config,
    find_config,
    load_config,
    parse_duration,
    parse_size,
)
from tailrace.decide.load import Every
from tailrace.errors import ConfigInvalid

GOOD = """\
[landing]
url = "file:./landing"
[targets.local]
kind = "duckdb"
path = "warehouse.duckdb"
[tables.orders]
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "tailrace.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def document(**changes: Any) -> dict[str, Any]:
    """A good document with values put at places such as ``tables__orders__workers``."""
    found: dict[str, Any] = {
        "landing": {"url": "file:./landing"},
        "targets": {"local": {"kind": "duckdb", "path": "warehouse.duckdb"}},
        "tables": {"orders": {}},
    }
    for place, value in changes.items():
        *sections, name = place.split("__")
        section = found
        for part in sections:
            section = section.setdefault(part, {})
        section[name] = value
    return found


def refused(path: Path, environment: dict[str, str] | None = None) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as caught:
        load_config(path, environment or {})
    assert caught.value.facts["file"] == path
    assert caught.value.hint
    return caught.value


def refusal(place: str, value: Any) -> ConfigInvalid:
    """What a wrong value at a place is answered with; always with file, place and remedy."""
    with pytest.raises(ConfigInvalid) as caught:
        check_config(document(**{place: value}), Path("tailrace.toml"))
    assert caught.value.facts["file"] == Path("tailrace.toml")
    assert caught.value.hint
    return caught.value


# ---- what is accepted


def test_the_shortest_file_and_what_it_means(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD), {})
    assert config.targets_of("orders") == ["local"]
    assert config.name_of("orders") == "orders"
    assert config.mode_of("orders", "local") == "current"
    assert config.rule("orders", "workers", 8) == 8


def test_a_table_overrules_its_target_and_that_the_defaults() -> None:
    config = check_config(
        document(
            defaults={"mode": "changelog", "workers": 2, "flush_seconds": "250ms"},
            targets__second={"kind": "duckdb", "path": "second.duckdb", "mode": "soft_delete"},
            tables={"orders": {"workers": 3, "name": "o"}, "users": {"mode": "current", "targets": ["second"]}},
        ),
        Path("t"),
    )
    assert config.mode_of("orders", "local") == "changelog"
    assert config.mode_of("orders", "second") == "soft_delete"
    assert config.mode_of("users", "second") == "current"
    assert (config.rule("orders", "workers", 8), config.rule("users", "workers", 8)) == (3, 2)
    assert config.rule("orders", "flush_seconds", 1.0) == 0.25
    assert config.targets_of("users") == ["second"]
    assert config.name_of("orders") == "o"


def test_a_variable_is_taken_from_the_environment_and_two_dollars_are_one(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("./landing", "./$$${PLACE}"))
    assert load_config(path, {"PLACE": "here"}).landing.url == "file:./$here"


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()), {}).tables


def test_a_link_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(write(tmp_path, GOOD))
    assert load_config(link, {}).tables


def test_a_file_of_exactly_one_mebibyte_is_accepted_and_one_byte_more_is_not(tmp_path: Path) -> None:
    padded = GOOD + "#" * (FILE_BYTES_MAX - len(GOOD))
    assert load_config(write(tmp_path, padded), {}).tables
    assert "larger than 1 MiB" in refused(write(tmp_path, padded + "#")).message


def test_the_file_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAILRACE_CONFIG", raising=False)
    assert find_config(None) == Path("tailrace.toml")
    monkeypatch.setenv("TAILRACE_CONFIG", "from/environment.toml")
    assert find_config(None) == Path("from/environment.toml")
    assert find_config("named.toml") == Path("named.toml")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert find_config("~/x.toml") == Path("/home/somebody/x.toml")
    with pytest.raises(ConfigInvalid, match="home folder"):
        find_config("~no-such-user/x.toml")


@given(st.one_of(st.floats(), st.integers(), st.text(max_size=20), st.booleans(), st.none()))
def test_a_duration_and_a_size_are_a_number_or_a_value_error(value: Any) -> None:
    for parse in (parse_duration, parse_size):
        with contextlib.suppress(ValueError):
            assert abs(parse(value)) >= 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30), ("14m", 840), ("1.5h", 5400), (7, 7), (0.5, 0.5)]
)
def test_durations(text: Any, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("1B", 1), ("64MB", 64 * 10**6), ("16MiB", 16 << 20), ("2KiB", 2048), ("1GB", 10**9), (5, 5)]
)
def test_sizes(text: Any, count: int) -> None:
    assert parse_size(text) == count


# ---- the file


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "landing is missing"),
        (b"[landing", "Not TOML"),
        (GOOD.encode() + b"[tables.orders]\n", "Not TOML"),
        (GOOD.encode() + b"workers = 1\nworkers = 2\n", "Not TOML"),
        (GOOD.encode() + b"workers = " + b"9" * 5000, "Not TOML"),
        (b"a=" + b"[" * 100_000, "Not TOML"),
        (b"a." * 500_000 + b"a = 1", "more than 64 parts"),
        (b"x = " + b"{a.a.a.a.a.a.a.a.a.a = " * 80 + b"1" + b"}" * 80, "Not TOML"),
        (GOOD.encode("utf-16"), "is not UTF-8"),
        (GOOD.encode() + b"# \xff", f"Byte {len(GOOD) + 2} is not UTF-8"),
        (b"landing:\n  url: x\n", "Not TOML"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, data: bytes, said: str) -> None:
    assert said in refused(write(tmp_path, data)).message


def test_a_file_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    error = refused(tmp_path / "absent.toml")
    assert error.message == "There is no configuration file"
    assert "tailrace init" in error.hint


def test_things_that_are_no_file(tmp_path: Path) -> None:
    assert "Is a directory" in refused(tmp_path).message
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "symbolic links" in refused(loop).message
    assert "null byte" in refused(Path("a\0b")).message
    assert "larger than 1 MiB" in refused(Path("/dev/zero")).message
    assert "File name too long" in refused(tmp_path / ("x" * 300)).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    path.chmod(0)
    assert "Permission denied" in refused(path).message


# ---- variables


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("${PLACE}", {}, "The environment variable PLACE is not set"),
        ("${PLACE}", {"PLACE": "a\nb"}, "PLACE holds a line break or control character"),
        ("${PLACE}", {"PLACE": "a\x1b[2J"}, "PLACE holds a line break or control character"),
        ("${}", {}, "'${}' is no variable"),
        ("${1A}", {}, "'${1A}' is no variable"),
        ("${PLACE", {}, "'${PLACE' is no variable"),
        ("${DB_PASSWORD}", {"DB_PASSWORD": "canary"}, "DB_PASSWORD is a secret by its name"),
        ("${AWS_SECRET_ACCESS_KEY}", {"AWS_SECRET_ACCESS_KEY": "canary"}, "is a secret by its name"),
        ("${AWS_SESSION_TOKEN}", {"AWS_SESSION_TOKEN": "canary"}, "is a secret by its name"),
    ],
)
def test_a_variable_that_cannot_be_used(tmp_path: Path, text: str, environment: dict[str, str], said: str) -> None:
    error = refused(write(tmp_path, GOOD.replace("./landing", f"./{text}")), environment)
    assert said in error.message
    assert error.facts["place"] == "landing.url"
    assert "canary" not in f"{error} {error.hint}"


@pytest.mark.parametrize(
    ("section", "name"),
    [("tables", "${STAGE}-users"), ("tables", "u-${STAGE"), ("targets", "${STAGE}"), ("targets", "$$${STAGE}")],
)
def test_no_variable_is_replaced_in_a_name(tmp_path: Path, section: str, name: str) -> None:
    error = refused(write(tmp_path, GOOD + f'\n[{section}."{name}"]\n'), {"STAGE": "prod"})
    assert "variables are not replaced in names of tables and targets" in error.message
    assert error.facts["place"] == f"{section}.{name}"


# ---- names and values, one by one


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        # unknown settings
        ("sorce", {}, "sorce is not a setting; did you mean 'source'?"),
        ("tables__orders__flush_second", 1, "tables.orders.flush_second is not a setting; did you mean 'flush_seconds'?"),
        ("targets__local__paht", "x", "targets.local.paht is not a setting; did you mean 'path'?"),
        ("defaults__name", "x", "defaults.name is not a setting"),
        ("xyzzy", 1, "xyzzy is not a setting"),
        # wrong types
        ("landing", "file:./landing", "landing: a section is expected"),
        ("tables", [], "tables: a section for each is expected"),
        ("tables", {}, "tables: at least one is needed"),
        ("targets", {}, "targets: at least one is needed"),
        ("tables__orders", 7, "tables.orders: a section is expected"),
        ("landing__url", 7, "landing.url: text in quotes is expected"),
        ("tables__orders__targets", "local", "tables.orders.targets: a list is expected"),
        ("tables__orders__targets", [], "tables.orders.targets: at least one is needed"),
        ("tables__orders__targets", [7], "tables.orders.targets.0: text in quotes is expected"),
        ("tables__orders__name", "", "tables.orders.name: String should have at least 1 character"),
        ("tables__orders__name", "a\nb", "tables.orders.name: a name holds no control characters"),
        ("tables__orders__name", "x" * 256, "at most 255 characters"),
        ("targets__pg", {"kind": "postgres", "schema": "é" * 32}, "targets.pg.schema: a name has 63 bytes at most here"),
        # numbers
        ("tables__orders__workers", True, "tables.orders.workers: a whole number is expected"),
        ("tables__orders__workers", 1.0, "tables.orders.workers: a whole number is expected"),
        ("tables__orders__workers", "8", "tables.orders.workers: a whole number is expected"),
        ("tables__orders__workers", 0, "greater than or equal to 1"),
        ("tables__orders__workers", -1, "greater than or equal to 1"),
        ("tables__orders__workers", 10**30, "less than or equal to 256"),
        ("defaults__flush_seconds", float("inf"), "inf is no duration"),
        ("defaults__flush_seconds", float("nan"), "nan is no duration"),
        ("defaults__flush_seconds", True, "True is no duration"),
        ("defaults__flush_seconds", 10**400, "is no duration"),
        ("defaults__flush_seconds", 0, "greater than or equal to 0.05"),
        ("defaults__flush_seconds", -1, "greater than or equal to 0.05"),
        ("defaults__flush_seconds", "16m", "less than or equal to 900"),
        ("defaults__flush_seconds", "9" * 400 + "s", "less than or equal to 900"),
        ("defaults__flush_seconds", "1 s", "'1 s' is no duration"),
        ("defaults__flush_seconds", "٣s", "is no duration"),
        ("defaults__heartbeat_seconds", "2h", "less than or equal to 3600"),
        ("defaults__flush_bytes", 1, "greater than or equal to 1024"),
        ("defaults__flush_bytes", "16mb", "'16mb' is no size"),
        ("defaults__flush_bytes", 1e6, "is no size"),
        ("defaults__load_bytes", "1" * 40 + "GB", "less than or equal to"),
        # choices
        ("tables__orders__mode", "curent", "tables.orders.mode is 'curent', which is not known"),
        ("tables__orders__mode", 7, "tables.orders.mode is 7, which is not known"),
        ("defaults__start", "latest", "defaults.start is 'latest', which is not known"),
        ("targets__local__kind", "duck", "targets.local.kind is 'duck', which is not known"),
        ("tables__orders__capture", "kinesis", "tables.orders.capture is 'kinesis', which is not known"),
        ("tables__orders__base", "backup", "tables.orders.base is 'backup', which is not known"),
        ("tables__orders__scan_segments", 0, "greater than or equal to 1"),
        # when to load
        ("tables__orders__load", "on_flie", "tables.orders.load is 'on_flie', which is not known"),
        ("defaults__load", 3600, "defaults.load is 3600, which is not known"),
        ("defaults__load", {}, "defaults.load.every is missing"),
        ("defaults__load", {"every": "1h", "ofset": 1}, "defaults.load.ofset is not a setting; did you mean 'offset'?"),
        ("tables__load", {"load": {"every": "1h", "x": 1}}, "tables.load.load.x is not a setting"),
        ("defaults__load", {"every": "hourly"}, "defaults.load.every: 'hourly' is no duration"),
        ("defaults__load", {"every": "59s"}, "defaults.load.every: Input should be greater than or equal to 60"),
        ("defaults__load", {"every": "169h"}, "defaults.load.every: Input should be less than or equal to 604800"),
        ("defaults__load", {"every": "7m"}, "defaults.load: 420 s neither divide a day nor make whole days"),
        ("defaults__load", {"every": "25h"}, "defaults.load: 90000 s neither divide a day nor make whole days"),
        ("defaults__load", {"every": 90.5}, "defaults.load: every and offset are whole seconds"),
        ("defaults__load", {"every": "1h", "offset": "1h"}, "defaults.load: an offset of 3600 s is not less than the 3600 s"),
        ("defaults__load", {"every": "1h", "offset": -1}, "defaults.load.offset: Input should be greater than or equal to 0"),
        # the landing zone
        ("landing__url", "https://bucket.s3.amazonaws.com/x", "begins with https:"),
        ("landing__url", "gs://bucket", "begins with gs:"),
        ("landing__url", "arn:aws:s3:::bucket", "begins with arn:"),
        ("landing__url", "s3://Bucket/x", "has no valid bucket name: 'Bucket'"),
        ("landing__url", "s3://my_bucket/x", "has no valid bucket name: 'my_bucket'"),
        ("landing__url", "s3://a..b", "has no valid bucket name"),
        ("landing__url", "s3://192.168.0.1", "has no valid bucket name"),
        ("landing__url", "s3:///x", "has no valid bucket name"),
        ("landing__url", "s3://bucket/../x", "has a prefix with empty parts"),
        ("landing__url", "s3://bucket//x", "has a prefix with empty parts"),
        ("landing__url", "s3://bucket/a\nb", "has a prefix with empty parts"),
        ("landing__url", "", "is no url"),
        ("landing__url", "file:a\0b", "is no url"),
        ("landing__url", "file://host/x", "names a host"),
        ("landing__url", "~no-such-user/x", "'~no-such-user' has no home folder"),
        # targets
        ("targets__local__path", "", "targets.local.path: a path is neither empty"),
        ("targets__local__path", "a\0b", "targets.local.path: a path is neither empty nor holds control characters"),
        ("targets__local__path", "~no-such-user/x", "'~no-such-user' has no home folder"),
        ("tables__orders__targets", ["locla"], "tables.orders.targets: there is no [targets.locla]; did you mean 'local'?"),
        ("tables__ORDERS", {}, "tables.ORDERS: tables.orders too would write 'orders' in warehouse.duckdb"),
        ("tables__users", {"name": "orders"}, "tables.users: tables.orders too would write 'orders'"),
        ("targets__second", {"kind": "duckdb", "path": "./warehouse.duckdb"}, "targets.local and second alike would write"),
        # the source
        ("source__region", "EU_west", "source.region: that is not how AWS writes one"),
        ("source__role_arn", "arn:aws:iam::1:role/x", "source.role_arn: that is not how AWS writes one"),
        ("source__profile", "a\nb", "source.profile: a name holds no control characters"),
        ("source__endpoint_url", "http://10.0.0.1:4566", "is neither https nor on this machine"),
        ("source__endpoint_url", "http://localhost.example.com", "is neither https nor on this machine"),
        ("source__endpoint_url", "ftp://127.0.0.1", "is neither https nor on this machine"),
        ("source__endpoint_url", "https://", "is neither https nor on this machine"),
        ("source__endpoint_url", "http://[::1", "The endpoint is no URL"),
        ("source__endpoint_url", "http://127.0.0.1:99999", "The endpoint is no URL"),
        ("source__endpoint_url", "https://a b", "holds a space or a control character"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_sentence(place: str, value: Any, said: str) -> None:
    error = refusal(place, value)
    assert said in error.message
    first = place.partition("__")[0]
    assert str(error.facts["place"]).startswith("tables" if first == "targets" and "alike" in said else first)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "targets.ice: warehouse is missing"),
        ({"catalog": "glue"}, "targets.ice: warehouse is missing"),
        ({"catalog": "hive", "warehouse": "lake"}, "targets.ice.catalog is 'hive', which is not known"),
        ({"catalog": "rest"}, 'targets.ice: catalog = "rest" needs uri'),
        ({"warehouse": "s3://lake"}, 'catalog = "sql" with a warehouse on S3 needs uri'),
        ({"warehouse": "lake", "uri": "postgresql://me:secret@host/db"}, "uri holds a password"),
        ({"warehouse": "lake", "signing": "glue"}, "signing is for a REST catalog"),
        ({"warehouse": "lake", "namespace": "a..b"}, "targets.ice.namespace: a namespace is words of letters"),
        ({"warehouse": "lake", "warehose": "x"}, "targets.ice.warehose is not a setting; did you mean 'warehouse'?"),
    ],
)
def test_an_iceberg_target_says_what_is_missing(settings: dict[str, str], said: str) -> None:
    error = refusal("targets__ice", {"kind": "iceberg", **settings})
    assert said in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "parquet"}, "targets.lake.url is missing"),
        ({"kind": "delta", "url": "gs://bucket"}, "begins with gs:"),
        ({"kind": "delta", "url": "file:./landing/"}, "the url is that of the landing zone"),
        ({"kind": "parquet", "url": "file:./lake", "mode": "current"}, "which keeps no mode 'current'"),
        ({"kind": "parquet", "url": "file:./lake", "snapshots": 1}, "targets.lake.snapshots"),
        ({"kind": "delta", "url": "file:./lake", "snapshots": True}, "targets.lake.snapshots is not a setting"),
    ],
)
def test_a_folder_of_tables_says_what_is_wrong(settings: dict[str, Any], said: str) -> None:
    error = refusal("targets__lake", settings)
    assert said in error.message
    assert error.hint


def test_a_target_that_only_grows_keeps_changes_where_nothing_else_is_said() -> None:
    lake = {"kind": "parquet", "url": "file:./lake"}
    config = check_config(document(targets__lake=lake), Path("tailrace.toml"))
    assert {target: config.mode_of("orders", target) for target in config.targets} == {
        "local": "current",
        "lake": "changelog",
    }
    with pytest.raises(ConfigInvalid, match="keeps no mode 'current'") as caught:
        check_config(document(targets__lake=lake, defaults__mode="current"), Path("tailrace.toml"))
    assert 'mode = "changelog" in [targets.lake]' in caught.value.hint


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_two_targets_may_not_write_one_folder(kind: str) -> None:
    both = {
        "targets__a": {"kind": "delta", "url": "file:./lake"},
        "targets__b": {"kind": kind, "url": "file:./x/../lake"},
    }
    with pytest.raises(ConfigInvalid, match=r"targets\.a and b alike would write 'orders'"):
        check_config(document(**both), Path("tailrace.toml"))


REDSHIFT = {
    "kind": "redshift",
    "database": "dev",
    "iam_role": "arn:aws:iam::111122223333:role/RedshiftCopy",
    "staging": "s3://lake/staging",
}
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:dwh-x"


@pytest.mark.parametrize(
    "more",
    [
        {"workgroup": "analytics"},
        {"workgroup": "analytics", "secret_arn": SECRET},
        {"cluster": "main", "db_user": "loader"},
        {"driver": "connector", "host": "main.abc.eu-west-1.redshift.amazonaws.com", "cluster": "main", "port": 5440},
        {"driver": "connector", "host": "10.0.0.1", "workgroup": "analytics"},
        {"driver": "connector", "host": "10.0.0.1", "secret_arn": SECRET},
        {"driver": "connector", "host": "10.0.0.1", "ssm_parameter": "/dwh/password", "db_user": "loader"},
    ],
)
def test_redshift_is_reached_either_way(more: dict[str, Any]) -> None:
    assert check_config(document(targets__dwh={**REDSHIFT, **more}), Path("t")).targets["dwh"].kind == "redshift"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "one of workgroup and cluster is needed"),
        ({"workgroup": "analytics", "cluster": "main"}, "workgroup and cluster exclude one another"),
        ({"workgroup": "analytics", "host": "10.0.0.1"}, "host is for the driver"),
        ({"workgroup": "analytics", "ssm_parameter": "/dwh"}, "ssm_parameter is for the driver"),
        ({"workgroup": "analytics", "db_user": "x"}, "db_user goes with cluster, or with ssm_parameter"),
        ({"driver": "connector", "cluster": "main"}, "needs host"),
        ({"driver": "connector", "host": "10.0.0.1"}, "needs credentials"),
        ({"driver": "connector", "host": "user@10.0.0.1", "cluster": "main"}, "targets.dwh.host"),
        ({"driver": "connector", "host": "h", "secret_arn": SECRET, "ssm_parameter": "/x"}, "exclude one another"),
        ({"driver": "connector", "host": "h", "password": "canary"}, "targets.dwh.password is not a setting"),
        ({"driver": "jdbc", "workgroup": "analytics"}, "targets.dwh.driver is 'jdbc', which is not known"),
    ],
)
def test_a_redshift_that_could_not_be_reached_is_refused(more: dict[str, Any], said: str) -> None:
    error = refusal("targets__dwh", {**REDSHIFT, **more})
    assert said in error.message
    assert "canary" not in f"{error} {error.hint}"


def test_a_table_s_shape_wins_over_its_target_s() -> None:
    dwh = {**REDSHIFT, "workgroup": "analytics", "shape": "super"}
    config = check_config(document(targets__dwh=dwh, tables__users={"targets": ["dwh"], "shape": "columns"}), Path("t"))
    assert [config.shape_of("orders", name) for name in ("local", "dwh")] == ["columns", "super"]
    assert config.shape_of("users", "dwh") == "columns"


@pytest.mark.parametrize("name", ["shape", "dist_key", "sort_key"])
def test_a_layout_is_for_redshift_only(name: str) -> None:
    error = refusal("tables__orders", {name: {"shape": "super", "dist_key": "x", "sort_key": ["x"]}[name]})
    assert f"tables.orders.{name}: {name} is for Redshift, and the target 'local' is duckdb" in error.message
    assert "shape" in refusal("targets__local", {"kind": "duckdb", "path": "x", "shape": "super"}).message


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"window": "14m"}, "greater than or equal to 900"),
        ({"window": "25h"}, "less than or equal to 86400"),
        ({"window": 900.5}, "whole seconds"),
        ({"window": "15m", "step": "4m"}, "the step must divide the window"),
        ({"window": "15m", "step": "30m"}, "the step must divide the window"),
        ({"window": True}, "True is no duration"),
        ({"enable_pitr": 1}, "enable_pitr"),
    ],
)
def test_windows_that_would_leave_something_behind_are_refused(rules: dict[str, Any], said: str) -> None:
    text = document(landing__url="s3://acme-lake/tailrace", tables__orders={"capture": "exports", **rules})
    with pytest.raises(ConfigInvalid) as caught:
        check_config(text, Path("t"))
    assert said in str(caught.value)
    assert "tables.orders" in str(caught.value)


def test_a_tables_own_load_rule_wins_over_the_default() -> None:
    assert check_config(document(), Path("f")).load_rule_of("orders") == "continuous"
    every = document(defaults__load={"every": "1h", "offset": "5m"}, tables__users__load="on_file")
    rules = [check_config(every, Path("f")).load_rule_of(table) for table in ("orders", "users")]
    assert rules == [Every(3600, 300), "on_file"]
    assert check_config(document(defaults__load={"every": "48h"}), Path("f")).load_rule_of("orders") == Every(172_800)


def test_exports_need_a_bucket_to_land_in() -> None:
    error = refusal("tables__orders__capture", "exports")
    assert 'begins with "s3://"' in error.message
    assert "only to S3" in error.hint


def test_windows_are_part_of_what_must_not_change_and_streams_know_nothing_of_them() -> None:
    def hashed(**rules: Any) -> str:
        config = check_config(document(landing__url="s3://acme-lake/x", tables__orders=rules), Path("t"))
        return config.hash_of("orders")

    exports = [
        hashed(capture="exports", window=window, step=step)
        for window, step in (("15m", "15m"), ("15m", "5m"), ("30m", "15m"))
    ]
    assert len({*exports, hashed(), hashed(capture="streams")}) == 4
    assert hashed(capture="exports") == exports[0]


@pytest.mark.parametrize(
    "url", ["http://localhost:4566", "http://127.0.0.1:1", "http://[::1]:4566", "https://vpce-1.example.com"]
)
def test_endpoints_of_this_machine_and_https_ones_are_accepted(url: str) -> None:
    assert check_config(document(source__endpoint_url=url), Path("t")).source.endpoint_url == url


@pytest.mark.parametrize(
    "url", ["s3://bucket", "s3://bucket/", "s3://b.c-d/prefix/more", "file:./a@b", "./x", "/x", "file:///x", "~/x"]
)
def test_landing_urls_that_are_fine(url: str) -> None:
    assert check_config(document(landing__url=url), Path("t")).landing.url == url


@pytest.mark.parametrize("name", ["a/b", "..", "ab", "x" * 256, "ärger", "a b", "a\0b", ".tailrace"])
def test_a_table_name_that_dynamodb_does_not_allow(name: str) -> None:
    error = refusal("tables", {name: {}})
    assert "is no DynamoDB table name" in error.message
    assert error.facts["place"] == f"tables.{name}"


def test_a_table_name_with_a_dot_has_to_be_quoted(tmp_path: Path) -> None:
    error = refused(write(tmp_path, GOOD + "[tables.prod.orders]\nworkers = 1\n"))
    assert '[tables."prod.orders"]' in error.hint
    quoted = load_config(write(tmp_path, GOOD + '[tables."prod.orders"]\nworkers = 1\n'), {})
    assert list(quoted.tables) == ["orders", "prod.orders"]


# ---- secrets


@pytest.mark.parametrize(
    "place",
    ["source__secret_access_key", "source__aws_session_token", "targets__local__password", "tables__orders__api_Token"],
)
def test_a_secret_in_the_file_is_refused_without_being_repeated(place: str) -> None:
    error = refusal(place, "canary")
    assert "Secrets never stand in this file" in error.hint
    assert "canary" not in f"{error} {error.hint} {error.__cause__.__class__}"


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("source__endpoint_url", "https://user:canary@example.com"),
        ("source__endpoint_url", "http://canary@127.0.0.1:4566"),
        ("landing__url", "s3://key:canary@bucket/x"),
        ("landing__url", "https://user:canary@bucket/x"),
        ("landing__url", "file://user:canary@host/x"),
    ],
)
def test_a_secret_in_a_url_is_refused_without_being_repeated(place: str, url: str) -> None:
    error = refusal(place, url)
    assert "user" in error.message
    assert "canary" not in f"{error} {error.hint}"


# ---- what decides capture is remembered


def test_the_hash_changes_with_what_decides_capture_and_with_nothing_else() -> None:
    def hashed(**changes: Any) -> str:
        config: Config = check_config(document(**changes), Path("t"))
        return config.hash_of("orders")

    assert hashed() == hashed(tables__orders__workers=2, defaults__mode="changelog", tables__orders__capture="streams")
    assert len(hashed()) == 16


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("tables__orders__engine", "spark", "engine = \"spark\" is for Iceberg, and the target 'local' is duckdb"),
        ("spark__settings", {"driver.memory": "4g"}, "'driver.memory' is no setting of Spark's"),
        ("spark__settings", {"spark.hadoop.fs.s3a.secret.key": "x"}, "is a secret by its name"),
        ("spark__range_bytes", "1KB", "greater than or equal to"),
        ("spark__range_byte", "1MiB", "did you mean 'range_bytes'?"),
    ],
)
def test_what_cannot_be_done_on_spark_is_said(place: str, value: Any, said: str) -> None:
    assert said in refusal(place, value).message


def test_a_table_overrules_the_engine_of_its_target() -> None:
    ice = {"kind": "iceberg", "warehouse": "lake", "engine": "spark"}
    config = check_config(
        document(targets__ice=ice, tables={"orders": {}, "users": {"targets": ["ice"], "engine": "process"}}),
        Path("tailrace.toml"),
    )
    assert config.engine_of("orders", "ice") == "spark"
    assert config.engine_of("orders", "local") == "process"
    assert config.engine_of("users", "ice") == "process"


GLUE: dict[str, Any] = {"kind": "iceberg", "catalog": "glue", "warehouse": "s3://lake/ice"}


def test_names_that_awss_catalogs_do_not_have_are_refused_with_one_that_they_have() -> None:
    with pytest.raises(ConfigInvalid, match=r"'Prod\.Orders' is no table's name in AWS's catalogs") as raised:
        check_config(document(targets__ice=GLUE, tables={"Prod.Orders": {}}), Path("t"))
    assert 'name = "prod_orders"' in raised.value.hint
    named = {"Prod.Orders": {"name": "prod_orders"}}
    check_config(document(targets__ice=GLUE, tables=named), Path("t"))
    with pytest.raises(ConfigInvalid, match=r"'a\.b' is no name"):
        check_config(document(targets__ice={**GLUE, "namespace": "a.b"}, tables=named), Path("t"))


def test_names_that_icebergs_clients_would_cut_are_refused() -> None:
    ice = {"kind": "iceberg", "warehouse": "lake"}
    for name in ("orders#2", "orders?", "orders%20", "..", "a/../b"):
        tables = {"orders": {"name": name, "targets": ["ice"]}}
        with pytest.raises(ConfigInvalid, match="is no table's name in Iceberg") as raised:
            check_config(document(targets__ice=ice, tables=tables), Path("t"))
        assert "tables.orders.name" in str(raised.value)
    for name in ("a..b", "my orders", "ünï"):
        check_config(document(targets__ice=ice, tables={"orders": {"name": name, "targets": ["ice"]}}), Path("t"))
    with pytest.raises(ConfigInvalid, match="warehouse holds #"):
        check_config(document(targets__ice={**ice, "warehouse": "lake#1"}), Path("t"))


def test_to_a_rest_catalog_a_warehouse_is_a_name() -> None:
    ice = {"kind": "iceberg", "catalog": "rest", "uri": "https://c", "warehouse": "sales"}
    target = check_config(document(targets__ice=ice), Path("t")).targets["ice"]
    assert isinstance(target, IcebergConfig)
    assert not target.is_local


@pytest.mark.parametrize(("kind", "longest"), [("postgres", 63), ("redshift", 127)])
def test_a_table_whose_name_a_server_would_cut_needs_another(kind: str, longest: int) -> None:
    role = "arn:aws:iam::123456789012:role/copy"
    more = (
        {} if kind == "postgres" else {"workgroup": "dwh", "database": "dev", "iam_role": role, "staging": "s3://lake"}
    )
    changes = {"targets__dwh": {"kind": kind, **more}, "tables__orders__targets": ["dwh"]}
    check_config(document(**changes, tables__orders__name="é" * (longest // 2) + "x"), Path("tailrace.toml"))
    with pytest.raises(ConfigInvalid) as caught:
        check_config(document(**changes, tables__orders__name="é" * (longest // 2 + 1)), Path("tailrace.toml"))
    said = f"has {longest + 1} bytes, and a table's name in the target 'dwh' ({kind}) {longest} at most"
    assert said in str(caught.value)
    assert caught.value.facts["place"] == "tables.orders.name"
