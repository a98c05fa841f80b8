# Rendered by tailrace 1.2.3; replaced by the next rendering, unless changed. sha256:ef8b8d4a1e76f263722c7ae00386bfc3399f8b95ca93e93a0ff8fe398ad53920
"""Loads what waits of some tables, on this cluster's executors. Arguments: --tables "NAME NAME", --budget DURATION of each."""

import argparse
import os
import sys

from pyspark.sql import SparkSession

from tailrace.cli import main

PLACES = ("tailrace.toml", "/opt/tailrace/tailrace.toml")

parser = argparse.ArgumentParser()
parser.add_argument("--tables", required=True)
parser.add_argument("--budget", default="11h")
given, _ = parser.parse_known_args()  # Glue adds its own
SparkSession.builder.appName("tailrace").getOrCreate()
config = next(place for place in PLACES if os.path.exists(place))
codes = [
    main(["--config", config, "load", "--tables", table, "--budget", given.budget], standalone_mode=False) or 0
    for table in given.tables.split()
]
sys.exit(max(codes))
