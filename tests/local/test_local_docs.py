"""The examples of docs/local.md, run in their order against one endpoint."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

PAGE = Path(__file__).parents[2] / "docs" / "local.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page's examples call curl")
def test_every_example_runs(aws: LocalAws) -> None:
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 8
    environment = {**os.environ, **aws.env()}
    for language, text in blocks:
        code = text.replace("http://127.0.0.1:4566", aws.endpoint_url)
        command = ["sh", "-ec", code] if language == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        if language == "sh":
            for line in done.stdout.splitlines():
                assert "error" not in json.loads(line), line


def test_every_kind_of_fault_stands_on_the_page(aws: LocalAws) -> None:
    try:
        aws.fault("?")
    except Exception as error:
        kinds = re.findall(r"[a-z_]+", str(error).split("kind is one of ")[1].split(", not")[0])
    assert len(kinds) == 24
    page = PAGE.read_text()
    assert [kind for kind in kinds if f'"kind": "{kind}"' not in page] == []
