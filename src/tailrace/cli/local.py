"""``tailrace local``"""

from __future__ import annotations

from pathlib import Path

import click

from tailrace.cli.output import Context, print_json

READY = """AWS is at {url}, on this machine only; stop it with Ctrl-C.

  export AWS_ENDPOINT_URL={url} AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test

Clock and faults: docs/local.md"""


@click.command(epilog="Example: tailrace local --port 4566 --dir ./aws")
@click.option("--port", type=click.IntRange(0, 65535), default=4566, show_default=True, help="0 takes a free one.")
@click.option(
    "--dir", "directory", type=click.Path(path_type=Path), help="Keep tables and objects here across restarts."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of shard ids and sequence numbers.")
@click.option(
    "--shards", type=click.IntRange(1, 100), default=1, show_default=True, help="Open shards of a new stream."
)
@click.pass_obj
def command(context: Context, port: int, directory: Path | None, seed: int, shards: int) -> None:
    """Serve the embedded AWS endpoint: DynamoDB, Streams with shard lineage, S3 and more, on 127.0.0.1."""
    from tailrace.local.serve import serve
    from tailrace.local.shards import Options

    def on_ready(url: str) -> None:
        if context.as_json:
            print_json({"endpoint_url": url})
        else:
            click.echo(READY.format(url=url))

    serve(port, Options(seed=seed, shards=shards), directory=directory, on_ready=on_ready)
