"""``python -m tailrace.local``: serve the embedded AWS endpoint until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path

from tailrace.local.serve import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tailrace.local", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="0 takes a free one (default 4566)")
    parser.add_argument("--dir", type=Path, help="keep tables and objects in this folder across restarts")
    parser.add_argument("--seed", type=int, default=0, help="of shard ids and sequence numbers")
    parser.add_argument("--shards", type=int, default=1, help="open shards of a new stream (default 1)")
    arguments = parser.parse_args()
    serve(arguments.port, directory=arguments.dir, seed=arguments.seed, shards=arguments.shards)


if __name__ == "__main__":
    main()
