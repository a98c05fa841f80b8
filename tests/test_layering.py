"""The direction of the arrows: who may import whom. A rule broken here is a rule of ARCHITECTURE.md broken."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tailrace"
MODULES = sorted(SOURCE.rglob("*.py"))

# A part may import itself and what is listed. `cli` and `pipeline` put everything together and are not limited.
ALLOWED = {
    "model": {"errors"},
    "decide": {"errors", "model"},
    "codec": {"errors", "model", "decide"},
    "capture": {"errors", "model", "decide", "aws", "clock"},
    "landing": {"errors", "model", "decide", "aws", "clock"},
    "targets": {"errors", "model", "decide", "codec", "aws", "clock"},
    "jobs": {"errors", "model", "decide", "codec", "clock", "capture", "landing", "targets"},
    "gen": {"errors", "model", "aws", "clock"},
    "local": {"errors", "model", "decide"},
    "deploy": {"errors", "landing", "config"},
}
ONE_PLACE = {
    "boto3": {"aws"},
    "botocore": {"aws"},
    "duckdb": {"targets.duckdb", "targets.lake"},
    "pyiceberg": {"targets.iceberg"},
    "deltalake": {"targets.delta"},
    "ministack": {"local"},
    "hypercorn": {"local"},
    "psycopg": {"local.redshift", "targets.postgres"},
    "py4j": {"runtimes.spark.session"},
    "pyspark": {"runtimes.spark"},
    "redshift_connector": {"targets.redshift.connector"},
    "tailrace_core": {"codec"},
    "click": {"cli"},
    "hypothesis": {"testing"},
    "pytest": {"testing"},
}
PURE = {"time", "random", "uuid", "threading", "os", "socket", "subprocess", "secrets", "pathlib", "asyncio"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module is not None
            yield node.module
            if node.module == "tailrace":
                yield from (f"tailrace.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_part_imports_only_what_lies_to_its_left(path: Path) -> None:
    part = name_of(path).split(".")[0]
    for module in imports(path):
        if part in ALLOWED and module.startswith("tailrace."):
            other = module.split(".")[1]
            assert other == part or other in ALLOWED[part] or other == "__version__", f"{part} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_client_library_is_imported_in_one_place(path: Path) -> None:
    name = name_of(path)
    for module in imports(path):
        places = ONE_PLACE.get(module.split(".")[0])
        assert places is None or any(name == p or name.startswith(f"{p}.") for p in places), f"{name} imports {module}"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if name_of(p).startswith(("model", "decide", "deploy"))], ids=name_of
)
def test_values_and_decisions_know_no_world(path: Path) -> None:
    for module in imports(path):
        assert module.split(".")[0] not in PURE, f"{name_of(path)} imports {module}"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Set | ast.SetComp):
            raise AssertionError(f"{path}:{node.lineno}: iterates over a set, so order is not defined")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("hash", "open", "print"), f"{path}:{node.lineno}: calls {node.func.id}()"
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("now", "utcnow", "today"), f"{path}:{node.lineno}: reads a clock"
