"""python delta_polars.py delta/orders"""

import sys

import polars as pl

for status, count in pl.read_delta(sys.argv[1]).group_by("status").len().sort("status").rows():
    print(status, count)
