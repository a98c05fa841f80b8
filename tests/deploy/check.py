"""Rendered deployments, given to cfn-lint, SAM, the CDK and a parser of HCL: ``make deploy-check``.

What Terraform itself would say is not looked at: it is no Python package. ``test_rendering.py`` compares its arguments with
those that its AWS provider has.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from configurations import CONFIGURATIONS, deployment_of

from tailrace.cli.deploy import write_files
from tailrace.deploy.files import TOOLS, rendered

QUIET = {
    "SAM_CLI_TELEMETRY": "0",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
}


def checks(tools: Path, folder: Path) -> Iterator[tuple[str, list[str], Path]]:
    """What to call, and where."""
    python = str(tools / "python")
    sam, cdk, terraform = (folder / tool for tool in TOOLS)
    yield "cfn-lint", [str(tools / "cfn-lint"), str(sam / "template.yaml"), str(cdk / "template.yaml")], folder
    yield "sam validate", [str(tools / "sam"), "validate", "--lint", "-t", "template.yaml"], sam
    yield "cdk synth", [python, "app.py"], cdk
    yield "cfn-lint of it", [str(tools / "cfn-lint"), str(cdk / "out" / "*.template.json")], cdk
    yield "hcl2", [python, "-c", "import hcl2; hcl2.load(open('main.tf'))['resource'][0]"], terraform


def main() -> int:
    tools, failed = Path(sys.argv[1]).absolute(), 0
    for name, text in CONFIGURATIONS.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for tool in TOOLS:
                write_files(folder / tool, rendered(deployment_of(text), tool), force=False)
            code = folder / "cdk" / "build" / "capture"
            code.mkdir(parents=True)
            (code / "tailrace.py").write_text("")
            for what, command, place in checks(tools, folder):
                begun = time.monotonic()
                environment = os.environ | QUIET | {"CDK_OUTDIR": str(folder / "cdk" / "out")}
                done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
                seconds = f"{time.monotonic() - begun:.1f} s"
                print(f"{name:22} {what:14}", end=" ")
                print(f"ok, {seconds}" if done.returncode == 0 else f"FAILED\n{done.stdout}{done.stderr}", flush=True)
                failed += done.returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
