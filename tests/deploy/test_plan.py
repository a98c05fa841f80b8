"""From a configuration to what is deployed: which parts there are, what they are set to, and what is refused."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from configurations import (
    CONFIGURATIONS,
    HEAD,
    NETWORK,
    ORDERS,
    POSTGRES,
    REDSHIFT,
    VERSION,
    config_of,
    deployment_of,
    parts,
)
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import ENVIRONMENT, load_config
from tailrace.deploy import plan as planning
from tailrace.deploy.cloudformation import template
from tailrace.deploy.entry import CHAIN, CONFIG, HANDLERS, LANDING, PGPASS
from tailrace.deploy.model import (
    ACCOUNT,
    REGION,
    Alarm,
    Bucket,
    ChainTable,
    Function,
    Key,
    Permission,
    Queue,
    Retries,
    Role,
    Schedule,
    StateMachine,
    StreamMapping,
    arn,
    arn_of,
    parameter,
    stream_of,
)
from tailrace.deploy.names import SLUG_MAX, id_of_slug, slug_of
from tailrace.deploy.terraform import snake, terraform
from tailrace.errors import ConfigInvalid

STREAM = CONFIGURATIONS["stream-to-redshift"]
MACHINE = STREAM + '[deploy]\nbackfill = "step_functions"\n'
EXPORTS = CONFIGURATIONS["exports"]
CHAINED = CONFIGURATIONS["chain-table-in-a-vpc"]
EXISTING = CONFIGURATIONS["existing-bucket"]


def of(text: str, kind: type[Any]) -> dict[str, Any]:
    return parts(deployment_of(text), kind)


class TestStream:
    def test_functions_stand_behind_the_stream_behind_s3_and_on_a_schedule(self) -> None:
        functions = of(STREAM, Function)
        assert {name: f.handler.rpartition(".")[2] for name, f in functions.items()} == {
            "DeadLettersFunction": "dead_letters",
            "OrdersCapture": "capture",
            "OrdersLoad": "on_object",
            "OrdersTick": "on_schedule",
        }
        assert functions["OrdersCapture"].environment == {LANDING: "s3://acme-lake/tailrace"}
        assert functions["OrdersLoad"].environment == {CONFIG: "tailrace.toml"}

    def test_only_the_capture_function_is_slim_and_only_workers_run_one_at_a_time(self) -> None:
        functions = of(MACHINE, Function)
        assert [name for name, f in functions.items() if f.package == "capture"] == ["OrdersCapture"]
        assert {name: f.reserved for name, f in functions.items()} == {
            "DeadLettersFunction": None,
            "OrdersCapture": None,
            "OrdersLoad": 1,
            "OrdersTick": 1,
            "OrdersBackfill": 1,
        }

    def test_the_schedule_says_which_table_it_is_for(self) -> None:
        assert of(STREAM, Schedule)["OrdersSweep"].event == {"tables": "orders"}
        assert [s.event for s in of(EXPORTS, Schedule).values()] == [{"tables": "Prod.Users"}]

    def test_the_mapping_blocks_no_shard_and_gives_records_up_before_the_stream_forgets_them(self) -> None:
        mapping = of(STREAM, StreamMapping)["OrdersCaptureMapping"]
        assert mapping.stream == parameter("OrdersStream")
        assert mapping.start == "TRIM_HORIZON"
        assert mapping.batch_size == 10_000
        assert 0 <= mapping.attempts <= 10_000
        assert 12 * 3600 < mapping.age_seconds < 24 * 3600
        assert mapping.failed_to == arn_of("GivenUp")
        assert isinstance(of(STREAM, Bucket)["GivenUp"], Bucket)  # S3 gets the records themselves, a queue would not
        assert mapping.events == ()  # a filter would skip records for good

    @pytest.mark.parametrize(("flush", "window"), [("", 60), ("0.5", 1), ("30", 30), ('"10m"', 300)])
    def test_records_are_gathered_for_as_long_as_flush_seconds_says(self, flush: str, window: int) -> None:
        text = STREAM + (f"flush_seconds = {flush}" if flush else "")
        assert of(text, StreamMapping)["OrdersCaptureMapping"].window_seconds == window

    def test_start_is_the_mappings_starting_position(self) -> None:
        assert of(STREAM + 'start = "LATEST"', StreamMapping)["OrdersCaptureMapping"].start == "LATEST"

    def test_each_landed_file_calls_the_load_function_and_nothing_else_does(self) -> None:
        bucket = of(STREAM, Bucket)["Landing"]
        (notice,) = bucket.notices
        assert (notice.function, notice.prefix, notice.suffix) == (
            "OrdersLoad", "tailrace/orders/changes/", ".json.gz"
        )  # fmt: skip
        permission = of(STREAM, Permission)["OrdersLoadPermission"]
        assert bucket.after == (permission.id,)
        assert permission.source.endswith(":::acme-lake")

    def test_failed_loads_are_repeated_and_then_kept(self) -> None:
        retries = of(STREAM, Retries)
        assert (retries["OrdersLoadRetries"].attempts, retries["OrdersLoadRetries"].failed_to) == (
            2,
            arn_of("DeadLetters"),
        )
        assert (retries["OrdersTickRetries"].attempts, retries["OrdersTickRetries"].failed_to) == (0, None)
        dead = of(STREAM, Queue)["DeadLetters"]
        assert (dead.parked, dead.days) == ("Parked", 14)
        assert dead.visible_after >= 6 * of(STREAM, Function)["DeadLettersFunction"].timeout

    def test_alarms_ring_at_a_quarter_and_half_of_what_the_stream_keeps(self) -> None:
        ages = {name: alarm for name, alarm in of(STREAM, Alarm).items() if "Age" in name}
        assert {name: alarm.threshold for name, alarm in ages.items()} == {
            "OrdersCaptureAge6h": 6 * 3_600_000,
            "OrdersCaptureAge12h": 12 * 3_600_000,
        }
        assert all(a.metric == "IteratorAge" and a.statistic == "Maximum" for a in ages.values())

    def test_alarms_ring_for_errors_throttles_lost_records_quarantine_dead_letters_and_silence(self) -> None:
        metrics = {(alarm.namespace, alarm.metric) for alarm in of(MACHINE, Alarm).values()}
        assert metrics == {
            ("AWS/Lambda", "IteratorAge"),
            ("AWS/Lambda", "Errors"),
            ("AWS/Lambda", "Throttles"),
            ("AWS/Lambda", "Invocations"),
            ("AWS/Lambda", "OnFailureDestinationDeliveredEventCount"),
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
            ("AWS/States", "ExecutionsFailed"),
            ("Tailrace", "HeadroomSeconds"),
            ("Tailrace", "Quarantined"),
        }

    def test_a_schedule_that_has_stopped_rings(self) -> None:
        alarm = of(STREAM, Alarm)["OrdersTickSilent"]
        assert (alarm.comparison, alarm.threshold, alarm.missing) == ("LessThanThreshold", 1, "breaching")
        assert alarm.dimensions == {"FunctionName": of(STREAM, Function)["OrdersTick"].name}

    @pytest.mark.parametrize(("window", "threshold"), [("15m", 5400), ("6h", 46_800)])
    def test_exports_that_do_not_come_ring_though_nothing_fails(self, window: str, threshold: int) -> None:
        alarm = of(CONFIGURATIONS["exports"].replace('"15m"', f'"{window}"').replace('step = "5m"', ""), Alarm)
        (behind,) = (found for found in alarm.values() if found.metric == "LagSeconds")
        assert (behind.statistic, behind.threshold, behind.missing) == ("Minimum", threshold, "breaching")
        assert behind.dimensions == {"Table": "Prod.Users"}

    def test_every_function_has_an_alarm_for_its_errors(self) -> None:
        watched = {a.dimensions["FunctionName"] for a in of(MACHINE, Alarm).values() if a.metric == "Errors"}
        assert watched == {function.name for function in of(MACHINE, Function).values()}

    def test_a_given_up_batch_whose_notice_fails_is_parked(self) -> None:
        retries = of(STREAM, Retries)["DeadLettersFunctionRetries"]
        assert (retries.function, retries.failed_to) == ("DeadLettersFunction", arn_of("Parked"))

    def test_a_state_machine_repeats_the_backfill_with_what_it_answered(self) -> None:
        machine = of(MACHINE, StateMachine)["OrdersBackfillMachine"]
        states = machine.definition["States"]
        assert states["Link"]["Parameters"] == {"FunctionName": arn_of("OrdersBackfill"), "Payload.$": "$"}
        assert states["Link"]["OutputPath"] == "$.Payload"
        assert states["Is it done?"]["Default"] == "Wait"
        assert states["Wait"] == {"Type": "Wait", "SecondsPath": "$.wait_seconds", "Next": "Link"}
        assert states["Link"]["TimeoutSeconds"] > of(MACHINE, Function)["OrdersBackfill"].timeout


class TestExports:
    def test_nothing_stands_behind_a_stream_or_s3(self) -> None:
        assert [f.handler.rpartition(".")[2] for f in of(EXPORTS, Function).values()] == ["dead_letters", "on_schedule"]
        assert of(EXPORTS, StreamMapping) == {}
        assert of(EXPORTS, Bucket)["Landing"].notices == ()

    def test_a_schedule_drives_them(self) -> None:
        (schedule,) = of(EXPORTS, Schedule).values()
        assert schedule.expression == "rate(5 minutes)"

    def test_what_is_set_aside_rings(self) -> None:
        assert [a.dimensions for a in of(EXPORTS, Alarm).values() if a.metric == "Quarantined"] == [
            {"Table": "Prod.Users"}
        ]


class TestChainTable:
    def test_the_stream_of_the_table_calls_the_next_link(self) -> None:
        mapping = of(CHAINED, StreamMapping)["OrdersBackfillMapping"]
        assert of(CHAINED, ChainTable)["OrdersBackfillChain"].of == "orders"
        assert mapping.stream == stream_of("OrdersBackfillChain")
        assert (mapping.batch_size, mapping.events) == (1, ("INSERT", "MODIFY"))
        function = of(CHAINED, Function)["OrdersBackfill"]
        assert function.environment[CHAIN] == of(CHAINED, ChainTable)["OrdersBackfillChain"].name
        assert function.may_loop
        assert of(CHAINED, StateMachine) == {}

    def test_without_a_scan_there_is_no_chain(self) -> None:
        for text in (STREAM, EXPORTS, CHAINED.replace("start", 'base = "none"\nstart')):
            assert not [f for f in of(text, Function) if f.endswith("Backfill")]


class TestSettings:
    def test_functions_that_load_are_placed_in_the_network_and_others_are_not(self) -> None:
        functions = of(CHAINED, Function)
        assert [name for name, f in functions.items() if f.network] == ["OrdersLoad", "OrdersTick"]

    def test_a_created_key_is_that_of_buckets_logs_and_topic(self) -> None:
        assert isinstance(of(CHAINED, Key)["Key"], Key)
        assert {bucket.key for bucket in of(CHAINED, Bucket).values()} == {arn_of("Key")}
        assert {bucket.key for bucket in of(STREAM, Bucket).values()} == {None}

    def test_a_password_is_named_by_its_parameter_where_postgresql_is_loaded(self) -> None:
        assert of(CHAINED, Function)["OrdersTick"].environment[PGPASS] == "/replica/pgpass"
        assert deployment_of(CHAINED).passwords == "/replica/pgpass"
        assert PGPASS not in of(STREAM, Function)["OrdersTick"].environment
        assert deployment_of(STREAM).passwords == ""

    def test_passwords_are_read_by_functions_that_load_and_by_no_server(self) -> None:
        readers = {r.duty for r in deployment_of(CHAINED).roles if "Password" in [s.sid for s in r.statements]}
        assert readers == {"load", "tick"}
        (server,) = planning.plan_for_server(config_of(CHAINED), VERSION).roles
        assert "Password" not in [s.sid for s in server.statements]

    def test_the_image_installs_the_clients_of_its_targets_and_no_others(self) -> None:
        driver = REDSHIFT.replace(
            'kind = "redshift"', 'kind = "redshift"\ndriver = "connector"\nhost = "dwh.example.com"'
        )
        assert deployment_of(STREAM).extras == ("fast",)
        assert deployment_of(EXPORTS).extras == ("fast", "postgres")
        assert deployment_of(HEAD + driver + ORDERS).extras == ("fast", "redshift")

    def test_the_redshift_driver_needs_its_login_and_no_data_api(self) -> None:
        driver = BY_ROLE.replace(
            'workgroup = "analytics"', 'driver = "connector"\nhost = "h"\nssm_parameter = "/dwh/login"'
        )
        (role,) = [r for r in of(HEAD + driver + ORDERS, Role).values() if r.duty == "load"]
        granted = {action: s.resources for s in role.statements for action in s.actions}
        assert granted["ssm:GetParameter"] == (arn("ssm", "parameter/dwh/login"),)
        assert not [action for action in granted if action.startswith("redshift")]

    def test_an_existing_bucket_is_described_and_not_made(self) -> None:
        deployment = deployment_of(EXISTING)
        assert "Landing" not in parts(deployment, Bucket)
        assert deployment.existing is not None
        on_file = deployment_of(EXISTING.replace("load = ", "# ")).existing
        assert on_file is not None
        assert [notice.prefix for notice in on_file.notices] == ["orders/changes/"]
        assert of(EXISTING, StreamMapping)["OrdersCaptureMapping"].after == ()

    def test_no_function_reserves_concurrency_where_that_is_switched_off(self) -> None:
        assert {f.reserved for f in of(EXISTING, Function).values()} == {None}

    def test_lifecycle_rules_touch_nothing_but_quarantine_probes_and_incomplete_uploads(self) -> None:
        bucket = of(STREAM, Bucket)["Landing"]
        assert [e.prefix for e in bucket.expiries] == ["tailrace/orders/quarantine/", "tailrace/.tailrace/"]
        assert bucket.upload_days == 7
        assert of(STREAM, Bucket)["GivenUp"].expiries == ()

    def test_every_role_belongs_to_one_function_or_service(self) -> None:
        for text in CONFIGURATIONS.values():
            used = [f.role for f in of(text, Function).values()]
            used += [s.role for s in of(text, StateMachine).values()]
            used += sorted({s.role for s in of(text, Schedule).values()})
            assert sorted(used) == sorted(of(text, Role))

    def test_bucket_names_of_our_own_hold_the_account_so_that_nobody_else_has_taken_them(self) -> None:
        assert ACCOUNT in of(STREAM, Bucket)["GivenUp"].name


class TestLoadRules:
    def test_by_the_hour_nothing_stands_behind_s3_and_a_second_schedule_calls_at_the_hour(self) -> None:
        deployment = deployment_of(STREAM + 'load = { every = "1h", offset = "5m" }\n')
        assert "OrdersLoad" not in parts(deployment, Function)
        assert parts(deployment, Bucket)["Landing"].notices == ()
        assert {s.id: s.expression for s in parts(deployment, Schedule).values()} == {
            "OrdersSweep": "rate(5 minutes)",
            "OrdersDue": "cron(5 * * * ? *)",
        }

    def test_by_hand_no_function_may_touch_a_target(self) -> None:
        deployment = deployment_of(STREAM + 'load = "by_hand"\n')
        assert "OrdersLoad" not in parts(deployment, Function)
        for role in parts(deployment, Role).values():
            assert not [a for s in role.statements for a in s.actions if a.startswith("redshift")]

    def test_by_hand_a_duckdb_file_is_no_obstacle(self) -> None:
        target = '[targets.local]\nkind = "duckdb"\npath = "w.duckdb"\n'
        deployment = deployment_of(HEAD + target + ORDERS + 'load = "by_hand"\n')
        assert list(parts(deployment, Function)) == ["DeadLettersFunction", "OrdersCapture", "OrdersTick"]

    @pytest.mark.parametrize(
        ("every", "offset", "cron"),
        [
            (3600, 300, "cron(5 * * * ? *)"),
            (3600, 0, "cron(0 * * * ? *)"),
            (900, 120, "cron(2/15 * * * ? *)"),
            (6 * 3600, 300, "cron(5 0/6 * * ? *)"),
            (6 * 3600, 7500, "cron(5 2/6 * * ? *)"),
            (86_400, 7500, "cron(5 2 * * ? *)"),
            (5400, 0, None),
            (3600, 30, None),
            (90, 0, None),
            (7 * 86_400, 0, None),
        ],
    )
    def test_times_become_a_cron_expression_where_there_is_one(self, every: int, offset: int, cron: str | None) -> None:
        assert planning._cron(every, offset) == cron

    def test_times_without_one_are_left_to_the_sweep_and_said(self) -> None:
        deployment = deployment_of(STREAM + 'load = { every = "90m" }\n')
        assert list(parts(deployment, Schedule)) == ["OrdersSweep"]
        assert any("five minutes late" in note for note in deployment.notes)


class TestHandlers:
    def test_the_configuration_is_named_as_the_command_line_names_it(self) -> None:
        assert CONFIG == ENVIRONMENT

    @pytest.mark.parametrize("duty", HANDLERS)
    def test_every_handler_is_there(self, duty: str) -> None:
        module, _, name = HANDLERS[duty].rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))


class TestConfigurationFile:
    """What the functions read."""

    @pytest.mark.parametrize("name", CONFIGURATIONS)
    def test_it_loads_and_says_the_same_without_what_only_holds_here(self, name: str, tmp_path: Path) -> None:
        config = config_of(CONFIGURATIONS[name])
        path = tmp_path / "tailrace.toml"
        path.write_text(planning.config_file(config), encoding="utf-8")
        read = load_config(path, {})
        assert read.landing == config.landing
        assert read.source.region == config.source.region
        for table in config.tables:
            kept = [t for t in config.targets_of(table) if config.targets[t].kind != "duckdb"]
            assert read.targets_of(table) == kept
            assert read.hash_of(table) == config.hash_of(table)
            for setting in ("start", "flush_seconds", "window", "step", "enable_pitr", "base"):
                assert read.rule(table, setting, None) == config.rule(table, setting, None)
            for target in kept:
                assert read.targets[target] == config.targets[target]

    def test_how_this_machine_reaches_aws_is_not_in_it(self) -> None:
        head = HEAD + 'profile = "me"\nendpoint_url = "http://127.0.0.1:4566"\n'
        deployment = deployment_of(head + REDSHIFT + ORDERS)
        assert "profile" not in deployment.config
        assert "4566" not in deployment.config
        assert any("profile" in note for note in deployment.notes)

    @given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=40))
    def test_any_name_comes_through(self, name: str) -> None:
        config = config_of(HEAD + POSTGRES + ORDERS)
        target = config.targets["pg"].model_copy(update={"database": name, "schema_": name})
        odd = config.model_copy(update={"targets": {name: target}})
        text = planning.config_file(odd)
        import tomllib

        read = tomllib.loads(text)
        assert read["targets"][name.replace("$", "$$")]["database"] == name.replace("$", "$$")


BY_ROLE = "".join(line for line in REDSHIFT.splitlines(keepends=True) if not line.startswith("secret_arn"))


class TestNotes:
    """What is rendered and does not work by itself."""

    def test_alarms_that_nobody_hears(self) -> None:
        silent = "alarms: set alarm_email in [deploy], or subscribe to the topic tailrace-alarms"
        text = HEAD + REDSHIFT + ORDERS
        assert any(silent in note for note in deployment_of(text).notes)
        heard = deployment_of(text + '[deploy]\nalarm_email = "on-call@example.com"\n')
        assert not any("alarm" in note for note in heard.notes)

    def test_streams_have_no_way_out_of_a_vpc_by_a_gateway_endpoint(self) -> None:
        assert any("NAT gateway" in note for note in deployment_of(CONFIGURATIONS["chain-table-in-a-vpc"]).notes)
        exports = CONFIGURATIONS["exports"] + f"[deploy]\n{NETWORK}"
        assert not any("NAT gateway" in note for note in deployment_of(exports).notes)

    def test_a_bucket_that_only_a_catalog_knows(self) -> None:
        lake = '[targets.ice]\nkind = "iceberg"\ncatalog = "rest"\nuri = "https://glue/iceberg"\nsigning = "glue"\n'
        assert any("Where ice keeps its files" in note for note in deployment_of(HEAD + lake + ORDERS).notes)
        assert not any("its catalog knows" in note for note in deployment_of(CONFIGURATIONS["lakes"]).notes)


class TestRefused:
    """What cannot run without a server is said before anything is written."""

    @pytest.mark.parametrize(
        ("text", "place", "says"),
        [
            (HEAD.replace('region = "eu-west-1"', "") + REDSHIFT, "source.region", "names none"),
            (
                HEAD + 'role_arn = "arn:aws:iam::444455556666:role/Reader"\n' + REDSHIFT,
                "source.role_arn",
                "roles of their own",
            ),
            (
                HEAD + '[targets.local]\nkind = "duckdb"\npath = "w.duckdb"\n',
                "tables.orders.targets",
                "no disk in common",
            ),
            (HEAD + '[targets.pg]\nkind = "postgres"\n', "targets.pg.host", "host is not named"),
            (HEAD + BY_ROLE, "targets.dwh.secret_arn", "a user of its own"),
            (
                HEAD + BY_ROLE.replace('workgroup = "analytics"', 'cluster = "main"'),
                "targets.dwh.secret_arn",
                "a user of its own",
            ),
        ],
    )
    def test_with_the_place_and_the_next_step(self, text: str, place: str, says: str) -> None:
        with pytest.raises(ConfigInvalid, match=says) as caught:
            deployment_of(text + ORDERS)
        assert caught.value.facts["place"] == place
        assert caught.value.hint

    def test_a_landing_zone_on_this_machine(self) -> None:
        with pytest.raises(ConfigInvalid, match="on this machine") as caught:
            deployment_of(HEAD.replace("s3://acme-lake/tailrace", "file:./landing") + REDSHIFT + "[tables.orders]\n")
        assert caught.value.facts["place"] == "landing.url"

    def test_a_target_that_no_function_writes_to_is_no_obstacle(self) -> None:
        unused = '[targets.pg]\nkind = "postgres"\n'
        deployment = deployment_of(HEAD + REDSHIFT + unused + ORDERS + 'targets = ["dwh"]\n')
        assert "postgres" not in deployment.config
        assert deployment.passwords == ""

    def test_a_poller(self) -> None:
        with pytest.raises(ConfigInvalid, match="captured by a poller") as caught:
            deployment_of(HEAD + REDSHIFT + "[tables.orders]\n")
        assert caught.value.facts["place"] == "tables.orders.capture"
        assert '"lambda"' in caught.value.hint

    def test_duckdb_beside_another_target_is_left_out_and_said(self) -> None:
        deployment = deployment_of(EXISTING)
        assert "duckdb" not in deployment.config
        assert any("not loaded into local" in note for note in deployment.notes)

    @pytest.mark.parametrize(
        ("lake", "why"),
        [
            ('kind = "parquet"\nurl = "file:./lake"', "a folder of one machine"),
            ('kind = "iceberg"\nwarehouse = "lake"', "a folder of one machine"),
            ('kind = "iceberg"\nwarehouse = "s3://a/b"\nuri = "postgresql://db/x"', "wants a login"),
            ('kind = "iceberg"\ncatalog = "rest"\nuri = "https://catalog"', "wants a login"),
            ('kind = "iceberg"\ncatalog = "glue"\nwarehouse = "s3://a/b"\nengine = "spark"', "tailrace spark render"),
        ],
    )
    def test_a_lake_that_no_function_reaches_is_refused_alone_and_left_out_beside_others(
        self, lake: str, why: str
    ) -> None:
        target = f"[targets.lake]\n{lake}\n"
        with pytest.raises(ConfigInvalid, match=why):
            deployment_of(HEAD + target + ORDERS)
        deployment = deployment_of(HEAD + REDSHIFT + target + ORDERS)
        assert any("orders is not loaded into lake" in note and why in note for note in deployment.notes)
        assert "targets.lake" not in deployment.config
        assert deployment.extras == ("fast",)

    def test_a_lake_that_functions_load_brings_its_library_and_memory(self) -> None:
        deployment = deployment_of(CONFIGURATIONS["lakes"])
        assert deployment.extras == ("fast", "iceberg", "delta")
        assert parts(deployment, Function)["OrdersLoad"].memory == 3008
        assert parts(deployment, Function)["OrdersCapture"].memory == 256
        smaller = deployment_of(CONFIGURATIONS["lakes"] + "[deploy]\nmemory = 2048\n")
        assert parts(smaller, Function)["OrdersTick"].memory == 2048
        assert {"files", "delta", "ice"} == set(config_of(deployment.config).targets)

    def test_more_tables_than_a_role_has_room_for(self) -> None:
        tables = "".join(f"[tables.table_with_a_long_name_{number:04}]\ncapture = 'lambda'\n" for number in range(60))
        with pytest.raises(ConfigInvalid, match="longer than IAM allows"):
            deployment_of(HEAD + REDSHIFT + tables)

    def test_more_tables_than_a_template_has_room_for(self) -> None:
        def tables(count: int) -> str:
            return HEAD + REDSHIFT + "".join(ORDERS.replace("orders", f"orders{number}x") for number in range(count))

        assert len(template(deployment_of(tables(20)))["Resources"]) <= 500
        with pytest.raises(ConfigInvalid, match="500 resources") as caught:
            template(deployment_of(tables(21)))
        assert "Terraform" in caught.value.hint
        assert terraform(deployment_of(tables(21)))

    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            ('subnets = ["subnet-0a1b2c3d"]', "go together"),
            ('kms_key = "alias/mine"', "not how AWS writes one"),
            ('name = "Upper"', "not how AWS writes one"),
            ("log_days = 31", "not known"),
            ('bucket = "new"', "not known"),
            ("vpc = 1", "not a setting"),
        ],
    )
    def test_wrong_settings_of_the_section(self, setting: str, says: str) -> None:
        with pytest.raises(ConfigInvalid, match=says):
            config_of(HEAD + REDSHIFT + f"[deploy]\n{setting}\n[tables.orders]\n")

    def test_the_network_settings_that_go_together_are_accepted(self) -> None:
        config = config_of(HEAD + REDSHIFT + f"[deploy]\n{NETWORK}\n[tables.orders]\n")
        assert config.deploy.subnets == ["subnet-0a1b2c3d"]


TABLES = st.from_regex(r"[a-zA-Z0-9_.-]{3,255}", fullmatch=True)


class TestNames:
    @given(TABLES)
    def test_a_slug_is_short_and_of_small_letters(self, table: str) -> None:
        slug = slug_of(table)
        assert len(slug) <= SLUG_MAX
        assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert slug_of(table) == slug
        assert id_of_slug(slug).isalnum()
        assert re.fullmatch(r"[a-z_][a-z0-9_]*", snake(id_of_slug(slug)))

    @given(TABLES, TABLES)
    def test_different_tables_have_different_names_wherever_they_stand(self, one: str, other: str) -> None:
        if one != other:
            assert slug_of(one) != slug_of(other)
            assert id_of_slug(slug_of(one)) != id_of_slug(slug_of(other))

    @pytest.mark.parametrize(
        ("one", "other"),
        [("orders", "Orders"), ("a-b-c", "ab-c"), ("prod-1", "prod1"), ("a_b_c", "a-b-c"), ("a.b.c", "a-b-c")],
    )
    def test_tables_that_differ_little(self, one: str, other: str) -> None:
        assert slug_of(one) != slug_of(other)
        assert id_of_slug(slug_of(one)) != id_of_slug(slug_of(other))
        assert snake(id_of_slug(slug_of(one))) != snake(id_of_slug(slug_of(other)))

    def test_an_id_begins_with_a_letter(self) -> None:
        slug = slug_of("2024-orders")
        assert slug.startswith("2024-orders-")
        assert id_of_slug(slug).startswith("N2024Orders")

    def test_a_plain_name_is_kept(self) -> None:
        assert slug_of("orders") == "orders"
        assert slug_of("prod-orders") == "prod-orders"

    def test_the_longest_names_still_fit(self) -> None:
        text = CHAINED.replace('"replica"', f'"{"r" * 20}"')
        text = text.replace("[tables.orders]", f'[tables."{"T" * 255}"]\nname = "t"')
        deployment = deployment_of(text.replace('"chain_table"', '"step_functions"'))
        for part in deployment.resources:
            if isinstance(part, Function | Role | Schedule):
                assert len(part.name) <= 64, part.name
            if isinstance(part, Function):
                assert len(part.what) <= 256
            if isinstance(part, Bucket):
                longest = part.name.replace(ACCOUNT, "1" * 12).replace(REGION, "ap-southeast-2")
                assert len(longest) <= 63

    def test_other_tables_change_no_name(self) -> None:
        alone = {p.id for p in deployment_of(STREAM).resources}
        both = {
            p.id
            for p in deployment_of(
                STREAM
                + '[tables.Orders]\nname = "other"\ncapture = "lambda"\n[tables.customers]\ncapture = "exports"\n'
            ).resources
        }
        assert alone <= both
