"""python parquet_polars.py files/orders/v1"""

import sys
from pathlib import Path

import polars as pl

folder = Path(sys.argv[1])
newest = max(folder.rglob("*.parquet"), key=lambda file: file.name)  # has every column that there is
schema = pl.scan_parquet(newest, hive_partitioning=False).collect_schema()
changes = pl.scan_parquet(folder / "**/*.parquet", schema=schema, missing_columns="insert", hive_partitioning=False)
items = changes.sort("_tr_pos").group_by("order_id").last().filter(pl.col("_tr_op") != "d")
for status, count in items.group_by("status").len().sort("status").collect().rows():
    print(status, count)
