"""python parquet_pyarrow.py files/orders/v1"""

import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
newest = max(folder.rglob("*.parquet"), key=lambda file: file.name)  # has every column that there is
changes = ds.dataset(folder, schema=pq.read_schema(newest)).to_table(
    columns=["order_id", "status", "_tr_op", "_tr_pos"]
)
latest = (
    changes.sort_by("_tr_pos")
    .group_by("order_id", use_threads=False)
    .aggregate([("status", "last"), ("_tr_op", "last")])
)
items = latest.filter(pc.not_equal(latest["_tr_op_last"], "d")).rename_columns(["order_id", "status", "op"])
for row in items.group_by("status").aggregate([("order_id", "count")]).sort_by("status").to_pylist():
    print(row["status"], row["order_id_count"])
