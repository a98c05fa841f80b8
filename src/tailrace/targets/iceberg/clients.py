"""pyiceberg's clients, mended: requests to a REST catalog end, Glue's limits hold, and a small file is one request to S3."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from pyarrow.fs import FileSystem
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.utils.config import Config, merge_config
from requests import Session

CATALOG: Final = "default"  # a SQL catalog keeps tables by its name; this is what pyiceberg takes without one
OURS: Final = "tailrace."  # how our properties of a table begin
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 120.0  # a catalog that answers a commit has written a file to S3 before
_UNFIT: Final = re.compile("[\0-\x08\x0a-\x1f\ufffe\uffff]")  # for a name in Glue, as its API describes names


def open_catalog(properties: Mapping[str, str]) -> Catalog:
    """The catalog that these properties of pyiceberg, and its environment behind them, lead to."""
    if properties["type"] == "rest":
        settings: Any = merge_config(Config().get_catalog_config(CATALOG) or {}, dict(properties))
        return _Rest(CATALOG, **settings)
    catalog: Any = load_catalog(CATALOG, **properties)
    if properties["type"] == "glue":
        for operation in ("CreateTable", "UpdateTable"):
            catalog.glue.meta.events.register(f"provide-client-params.glue.{operation}", _fit)
    return catalog  # type: ignore[no-any-return]


class LakeIO(PyArrowFileIO):
    """Arrow, unless it is told to wait, begins an upload in parts when a file is opened: three requests for the smallest one."""

    def _initialize_s3_fs(self, netloc: str | None) -> FileSystem:
        make, (options,) = super()._initialize_s3_fs(netloc).__reduce__()
        return make({**options, "allow_delayed_open": True})


FILE_IO: Final = f"{LakeIO.__module__}.{LakeIO.__qualname__}"  # as pyiceberg's property py-io-impl


class _Rest(RestCatalog):
    """pyiceberg waits for answers for ever."""

    def _config_headers(self, session: Session) -> None:
        super()._config_headers(session)
        limited = functools.partial(session.request, timeout=(CONNECT_SECONDS, ANSWER_SECONDS))
        session.request = limited  # type: ignore[method-assign]


def _fit(params: Mapping[str, Any], **_: Any) -> None:
    """pyiceberg copies a table's properties into Glue, where a value may have 512,000 bytes. Ours grow with the ledger, and all
    that reads them does so from the metadata file. Names of columns are copied, too, and only shown there.
    """
    table = params["TableInput"]
    table["Parameters"] = {name: value for name, value in table["Parameters"].items() if not name.startswith(OURS)}
    for column in table["StorageDescriptor"]["Columns"]:
        column["Name"] = _UNFIT.sub("\ufffd", column["Name"])
