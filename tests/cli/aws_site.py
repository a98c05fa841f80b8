"""A project whose table lives in the embedded AWS, and the commands as a person types them there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tailrace.cli import main
from tailrace.local.client import LocalAws


def table_for(request: pytest.FixtureRequest) -> str:
    """A name that no other test has."""
    return f"orders{abs(hash(request.node.name))}"


def enter(aws: LocalAws, folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """Work in this folder, with the endpoint's credentials and region."""
    for name, value in {**aws.env(), **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)


class AwsSite:
    """`tailrace.toml` in `folder`, for one table, loaded as ``orders``; `rules` are further lines about it."""

    def __init__(
        self, folder: Path, aws: LocalAws, table: str, *, landing: str = "file:./landing", rules: str = ""
    ) -> None:
        self.folder, self.aws, self.table = folder, aws, table
        self.file = folder / "tailrace.toml"
        self.file.write_text(
            f"""
            [landing]
            url = "{landing}"
            [source]
            endpoint_url = "{aws.endpoint_url}"
            [targets.local]
            kind = "duckdb"
            path = "warehouse.duckdb"
            [tables.{table}]
            name = "orders"
            {rules}
            """
        )

    def run(self, *arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, result.output
        return result

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """What it prints with --json; of a list, which has an entry a table, the one of ours."""
        found = json.loads(self.run(*arguments, "--json", code=code).stdout)
        return dict(found if isinstance(found, dict) else found[0])
