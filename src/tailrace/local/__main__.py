"""``python -m tailrace.local``: serve the embedded AWS endpoint until SIGTERM or Ctrl-C.

This is for `LocalAws`; people type ``tailrace local``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tailrace.local.serve import serve
from tailrace.local.shards import Options


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tailrace.local", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="0 takes a free one (default 4566)")
    parser.add_argument("--dir", type=Path, help="keep tables and objects in this folder across restarts")
    parser.add_argument("--options", type=json.loads, default={}, help="tailrace.local.shards.Options as JSON")
    parser.add_argument("--attached", action="store_true", help="stop at the end of standard input, too")
    arguments = parser.parse_args()
    attached_to = sys.stdin.fileno() if arguments.attached else None
    serve(arguments.port, Options(**arguments.options), directory=arguments.dir, attached_to=attached_to)


if __name__ == "__main__":
    main()
