"""python iceberg_polars.py METADATA"""

import sys

import polars as pl

for status, count in pl.scan_iceberg(sys.argv[1]).group_by("status").len().sort("status").collect().rows():
    print(status, count)
