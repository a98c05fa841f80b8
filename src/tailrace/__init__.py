"""Tailrace replicates Amazon DynamoDB tables into data lakes and warehouses, exactly."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tailrace.pipeline import Pipeline
    from tailrace.reading import decode, read_export

__all__ = ["Pipeline", "__version__", "decode", "read_export"]

__version__ = "0.1.0"

_HOMES = {  # imported on use: they bring pyarrow along
    "Pipeline": "tailrace.pipeline",
    "decode": "tailrace.reading",
    "read_export": "tailrace.reading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
