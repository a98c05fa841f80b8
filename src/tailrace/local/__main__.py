"""``python -m tailrace.local``: serve the embedded AWS endpoint until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from tailrace.local.serve import serve


def _stop_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tailrace.local", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="0 takes a free one (default 4566)")
    parser.add_argument("--dir", type=Path, help="keep tables and objects in this folder across restarts")
    parser.add_argument("--seed", type=int, default=0, help="of shard ids and sequence numbers")
    parser.add_argument("--shards", type=int, default=1, help="open shards of a new stream (default 1)")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop with whoever holds the other end")
    arguments = parser.parse_args()
    if arguments.until_stdin_closes:
        threading.Thread(target=_stop_with_stdin, name="tailrace-stdin", daemon=True).start()
    serve(arguments.port, directory=arguments.dir, seed=arguments.seed, shards=arguments.shards)


if __name__ == "__main__":
    main()
