"""Fixtures of the command line's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_project import CONFIG, Project, line


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A configured table of which nothing was captured yet."""
    (tmp_path / "tailrace.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def loaded(project: Project) -> Project:
    """Two changes captured and loaded."""
    project.begin()
    project.land(line(1, "a", n={"N": "1"}), line(2, "b", n={"N": "0.5"}))
    project.load()
    return project
