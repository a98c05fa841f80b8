"""`tailrace load --target`: one of a table's targets."""

from __future__ import annotations

from cli_project import CONFIG, Project, line

TWO = CONFIG.replace("[tables", '[targets.other]\nkind = "duckdb"\npath = "other.duckdb"\n[tables')


def test_only_the_target_that_is_named_is_loaded(loaded: Project) -> None:
    loaded.land(line(3, "c"), first=3)
    (loaded.folder / "tailrace.toml").write_text(TWO)
    (run,) = loaded.json("load", "--target", "other")
    assert {name: load["rows"] for name, load in run["loaded"].items()} == {"other": 3}
    (run,) = loaded.json("load")
    assert {name: load["rows"] for name, load in run["loaded"].items()} == {"local": 1, "other": 0}


def test_a_target_that_no_table_goes_to_is_refused(loaded: Project) -> None:
    result = loaded.run("load", "--target", "wherehouse")
    assert result.exit_code == 2
    assert "goes to a target 'wherehouse'" in result.output
    assert "Configured are: local" in result.output
