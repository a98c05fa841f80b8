"""A loader as a process of its own: ``python redshift_loader.py ENDPOINT NAME KIND`` applies the history to a warehouse."""

from __future__ import annotations

import sys

import boto3
from redshift_place import Place

from tailrace.errors import Transient
from tailrace.local.client import LocalAws
from tailrace.testing.target_contract import HISTORY, Replica


def main(endpoint: str, name: str, kind: str) -> None:
    aws = LocalAws()
    aws.endpoint_url = endpoint  # which another process runs
    clients = {
        service: boto3.client(
            service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        for service in ("redshift-data", "s3")
    }  # fmt: skip
    replica = Replica(Place(aws, clients, name).target("connector" if kind == "connector" else "data_api"))
    print("ready", flush=True)
    sys.stdin.readline()
    for segment in HISTORY:
        for _ in range(20):  # ticks
            try:
                replica.target.apply(replica.load(segment))
                break
            except Transient as error:
                print(error, file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
