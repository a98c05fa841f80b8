"""``tailrace plan``"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, get_args

import click

from tailrace.cli.options import Duration, tables_option
from tailrace.cli.output import Context, print_json
from tailrace.decide.plan import (
    LEFT_OUT,
    Base,
    Line,
    Plan,
    TableSize,
    Target,
    Way,
    assumed,
    duration,
    make_plan,
    measured,
    total,
)
from tailrace.errors import UsageInvalid
from tailrace.model.prices import PriceTable

WAYS: Final = ("streams", "streams-scheduled", "lambda-on-file", "lambda-scheduled", "exports", "exports-sliding")
_CENTS: Final = Decimal("0.01")
_SIZES: Final = "1KB, 1GB, 10TB"


class Size(click.ParamType[Any]):
    """``700``, ``1KB``, ``100GB``, ``10TB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        from tailrace.config import parse_size

        text = str(value)
        try:
            if text.isdecimal() and text.isascii():
                return int(text)
            return 1000 * parse_size(f"{text[:-2]}GB") if text.endswith("TB") else parse_size(text)
        except ValueError:
            self.fail(f"{text!r:.60} is no size; write a number of bytes, or {_SIZES}", param, context)


class Rate(click.ParamType[Any]):
    """An exact decimal that is not negative."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Decimal:
        try:
            rate = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r:.60} is no number", param, context)
        if not (rate.is_finite() and 0 <= rate <= 10**7):
            self.fail("a rate is between 0 and ten million a second", param, context)
        return rate


@click.command(
    epilog="Example: tailrace plan --items 1000000 --item-bytes 1KB --writes-per-second 0.1 --freshness 15m"
    " --target redshift"
)
@click.option("--items", type=click.IntRange(1, 10**15), help="How many items; without it AWS is asked.")
@click.option("--item-bytes", type=Size(), help="Of an item on average: 700, 1KB.")
@click.option("--table-bytes", type=Size(), help="Of the table, instead of an item: 100GB, 10TB.")
@click.option("--writes-per-second", type=Rate(), metavar="RATE", help="Puts, updates and deletes, on average.")
@click.option("--shards", type=click.IntRange(1, 10**6), help="Open shards of its stream; default: an estimate.")
@click.option("--freshness", type=Duration(), default="15m", help="At most so far behind (default 15m).")
@click.option(
    "--target",
    type=click.Choice(get_args(Target)),
    help="Default: what is configured, else redshift.",
)
@click.option("--way", type=click.Choice(WAYS), help="Show this one's bill instead of the cheapest that fits.")
@click.option("--prices", "price_file", type=click.Path(path_type=Path), metavar="FILE", help="Prices of your own.")
@tables_option
@click.pass_obj
def command(
    context: Context,
    items: int | None,
    item_bytes: int | None,
    table_bytes: int | None,
    writes_per_second: Decimal | None,
    shards: int | None,
    freshness: float,
    target: Target | None,
    way: str | None,
    price_file: Path | None,
    tables: str,
) -> None:
    """Say how to replicate a table, how fresh it will be, and what it costs.

    With --items nothing is read but prices. Without, the configured tables are looked at (DescribeTable, DescribeStream,
    and CloudWatch for two weeks of writes); what is given here wins.
    """
    from tailrace.prices import FILE, load_prices

    prices = load_prices(price_file or FILE)
    wanted = int(freshness)
    if items is not None:
        size = _given(items, item_bytes, table_bytes, writes_per_second, shards)
        plans = {"table": make_plan(size, wanted, target or "redshift", prices)}
    else:
        plans = dict(
            _looked_at(context, tables, item_bytes, table_bytes, writes_per_second, shards, target, wanted, prices)
        )
    if context.as_json:
        documents = [document(name, plan, prices) for name, plan in plans.items()]
        print_json(documents[0] if items is not None else documents)
    else:
        for name, plan in plans.items():
            click.echo("\n".join(lines(name, plan, prices, way)))


def _given(
    items: int, item_bytes: int | None, table_bytes: int | None, rate: Decimal | None, shards: int | None
) -> TableSize:
    if (item_bytes is None) == (table_bytes is None):
        raise UsageInvalid("--items needs either --item-bytes or --table-bytes", hint="For example --item-bytes 1KB.")
    if rate is None:
        raise UsageInvalid("--items needs --writes-per-second", hint="For example --writes-per-second 0.1.")
    return TableSize(items, _item_bytes(items, item_bytes, table_bytes), rate, shards)


def _item_bytes(items: int, item_bytes: int | None, table_bytes: int | None) -> int:
    """Of an item, from one of the two. Raises UsageInvalid for a size that no item has."""
    each = item_bytes if item_bytes is not None else -(-(table_bytes or 0) // items)
    if not 1 <= each <= 400 * 1024:
        raise UsageInvalid(
            f"An item of {each} bytes does not exist",
            hint="DynamoDB's items have 1 byte to 400 KB, names included.",
        )
    return each


def _looked_at(
    context: Context,
    tables: str,
    item_bytes: int | None,
    table_bytes: int | None,
    rate: Decimal | None,
    shards: int | None,
    target: Target | None,
    wanted: int,
    prices: PriceTable,
) -> Iterator[tuple[str, Plan]]:
    """A plan for each configured table, from what AWS says of it."""
    from tailrace.capture.facts import measure_table

    if item_bytes is not None and table_bytes is not None:
        raise UsageInvalid("--item-bytes and --table-bytes say the same", hint="Give one of them, or none.")
    pipeline = context.pipeline()
    for table in pipeline.tables(tables):
        kind = target or pipeline.config.targets[pipeline.config.targets_of(table)[0]].kind
        cloudwatch = pipeline.aws.client("cloudwatch") if rate is None else None
        found = measure_table(
            pipeline.dynamodb, pipeline.streams, cloudwatch, table, pipeline.clock.now_ms(), needs_shards=shards is None
        )
        if not found.items and item_bytes is None:
            raise UsageInvalid(
                "DynamoDB counts no items in this table yet; it counts about every six hours",
                hint="Give --items, --item-bytes and --writes-per-second.",
                table=table,
            )
        count = max(1, found.items)
        each = _item_bytes(count, item_bytes, max(1, found.bytes) if table_bytes is None else table_bytes)
        writes = rate if rate is not None else found.write_units_per_second / -(-each // 1024)
        yield table, make_plan(TableSize(count, each, writes, shards or found.shards), wanted, kind, prices)


# ---- what is shown


def document(name: str, plan: Plan, prices: PriceTable) -> dict[str, Any]:
    """The JSON form. Money and quantities are texts, so that no reader makes floats of them."""
    table, chosen = plan.table, plan.chosen
    return {
        "table": name,
        "items": table.items,
        "item_bytes": table.item_bytes,
        "writes_per_second": _plain(table.writes_per_second),
        "shards": table.open_shards,
        "freshness_seconds": plan.freshness_seconds,
        "target": plan.target,
        "prices": {"region": prices.region, "currency": prices.currency, "date": prices.date},
        "way": None if chosen is None else chosen.name,
        "ways": [
            {
                "name": way.name,
                "fits": way.fits(plan.freshness_seconds),
                "obstacles": list(way.obstacles),
                "settings": dict(way.settings),
                "runs": way.runs,
                "usual_seconds": _plain(way.usual_seconds),
                "most_seconds": _plain(way.most_seconds),
                "month": _plain(way.month),
                "month_apart": _plain(way.month_apart),
                "base": plan.base_of(way).name,
                "lines": [_line_document(line) for line in way.monthly],
            }
            for way in plan.ways
        ],
        "bases": [
            {
                "name": base.name,
                "once": _plain(total(base.once)),
                "hours": None if base.hours is None else _plain(base.hours),
                "lines": [_line_document(line) for line in base.once],
            }
            for base in plan.bases
        ],
        "measured": measured(),
        "assumed": assumed(),
        "left_out": LEFT_OUT,
    }


def _line_document(line: Line) -> dict[str, Any]:
    price = line.price
    return {
        "part": line.part,
        "price": price.name,
        "what": price.what,
        "quantity": _plain(line.quantity),
        "unit": price.unit,
        "how": line.how,
        "unit_price": _plain(price.amount),
        "per": price.per,
        "amount": _plain(line.amount),
        "confirmed": price.confirmed,
    }


def lines(name: str, plan: Plan, prices: PriceTable, way_name: str | None) -> Iterator[str]:
    """A plan for people."""
    table = plan.table
    yield (
        f"{name}: {table.items:,} items of {table.item_bytes:,} bytes ({_number(table.gb)} GB),"
        f" {_number(table.writes_per_second)} writes a second, {table.open_shards} shards"
    )
    yield f"wanted: at most {_ago(Decimal(plan.freshness_seconds))} behind, in {plan.target}"
    yield f"prices: {prices.region}, {prices.date}, {prices.currency}; a month is 730 hours"
    yield ""
    rows = [("", "way", "usual", "at most", "a month", "apart*", "")]
    rows += [
        (
            ">" if way is plan.chosen else "",
            way.name,
            _ago(way.usual_seconds),
            _ago(way.most_seconds),
            _money(way.month),
            _money(way.month_apart),
            "; ".join(way.obstacles) or ("" if way.fits(plan.freshness_seconds) else "not fresh enough"),
        )
        for way in plan.ways
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for mark, what, usual, most, month, apart, why in rows:
        numbers = [text.rjust(width) for text, width in zip((usual, most, month, apart), widths[2:], strict=True)]
        yield "  ".join([mark.ljust(1), what.ljust(widths[1]), *numbers, why]).rstrip()
    yield "* apart from point-in-time recovery and Redshift"
    shown = next((way for way in plan.ways if way.name == way_name), plan.chosen)
    if shown is None:
        yield ""
        yield "None is fresh enough and can do it: ask for less with --freshness, or look at one with --way."
    else:
        yield from _bill(shown, plan)
    for title, sentences in (("measured", measured()), ("assumed", assumed()), ("not in it", LEFT_OUT)):
        yield ""
        yield f"{title}:"
        yield from (f"  {sentence}" for sentence in sentences)


def _bill(way: Way, plan: Plan) -> Iterator[str]:
    yield ""
    yield f"{way.name}: {way.runs}"
    yield from (f"  {key} = {value}" for key, value in way.settings.items())
    yield ""
    yield "a month:"
    yield from _lines(way.monthly)
    yield f"  {_money(way.month)} together; {_money(way.month_apart)} apart from point-in-time recovery and Redshift"
    base = plan.base_of(way)
    yield ""
    yield f'once, base = "{base.name}"{_hours(base)}: {base.note}' if not way.base else "once, the full export:"
    yield from _lines(base.once)
    yield f"  {_money(total(base.once))} together"
    others = [other for other in plan.bases if other is not base and not way.base]
    yield from (f'  or base = "{o.name}"{_hours(o)}: {_money(total(o.once))}; {o.note}' for o in others)
    doubtful = {line.price.source for line in (*way.monthly, *base.once) if not line.price.confirmed}
    if doubtful:
        yield "  ? not from AWS's own price list; look at " + ", ".join(sorted(doubtful))


def _hours(base: Base) -> str:
    return "" if base.hours is None else f", about {base.hours:,.1f} hours"


def _lines(bill: tuple[Line, ...]) -> Iterator[str]:
    rows = [
        (
            _money(line.amount, Decimal("0.0001")),
            f"{_number(line.quantity)} {line.price.unit} × {_plain(line.price.amount)}"
            + (f" / {line.price.per:,}" if line.price.per > 1 else "")
            + ("" if line.price.confirmed else " ?"),
            f"{line.part}: {line.price.what}; {line.how}",
        )
        for line in bill
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for amount, sum_, what in rows:
        yield f"  {amount.rjust(widths[0])} = {sum_.ljust(widths[1])}  {what}"


def _money(amount: Decimal, digits: Decimal = _CENTS) -> str:
    """Rounded for people; --json has it all."""
    return f"{amount.quantize(digits):,}"


def _number(value: Decimal) -> str:
    text = f"{value:,.4f}"
    return text.rstrip("0").rstrip(".")


def _plain(value: Decimal) -> str:
    return f"{value:f}"


def _ago(seconds: Decimal) -> str:
    whole = int(seconds)
    return duration(whole) if whole < 120 or whole % 60 == 0 else f"{round(seconds / 60)}m"
