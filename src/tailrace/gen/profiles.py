"""What is written: three shapes of tables as they occur, each item a function of (seed, number, version)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeAlias

Item: TypeAlias = dict[str, dict[str, Any]]

_WORDS: Final = (
    "river", "turbine", "dam", "Wehr", "écluse", "水力", "sluice", 'the "big" one', "back\\slash", "tab\there", "€ 12",
    "penstock", "rotor", "spillway", "headrace", "Zürich", "naïve", "watt", "ampère", "volt", "grid", "load", "valve",
    "gate", "weir", "flume", "tail",
)  # fmt: skip
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of table: its key attributes (name to type, HASH first) and its items."""

    name: str
    keys: Mapping[str, str]
    key: Callable[[Random, int], Item]
    attributes: Callable[[Random, Item], Item]

    def key_of(self, seed: int, number: int) -> Item:
        """The primary key of item `number`, another one for every number."""
        return self.key(Random(f"{seed}:{number}"), number)

    def item_of(self, seed: int, number: int, version: int) -> Item:
        """Version `version` of item `number`, key included."""
        key = self.key_of(seed, number)
        return key | self.attributes(Random(f"{seed}:{number}:{version}"), key)


def _hex(random: Random, digits: int) -> str:
    return f"{random.getrandbits(digits * 4):0{digits}x}"


def _time(random: Random) -> str:
    return (_EPOCH + timedelta(microseconds=random.randrange(300 * 86_400 * 1_000_000))).isoformat(
        timespec="microseconds"
    )


def _text(random: Random, least: int, most: int) -> str:
    return " ".join(random.choice(_WORDS) for _ in range(random.randint(least, most)))


def _s(text: str) -> dict[str, Any]:
    return {"S": text}


def _n(number: int | str) -> dict[str, Any]:
    return {"N": str(number)}


def _decimal(random: Random, below: int, places: int) -> str:
    """A number from 0 to `below`, with so many decimal places."""
    whole, part = divmod(random.randrange(below * 10**places), 10**places)
    return f"{whole}.{part:0{places}d}"


def _degrees(random: Random, most: int) -> str:
    return random.choice(("", "-")) + _decimal(random, most, 6)


def _money(random: Random) -> str:
    return _decimal(random, 100_000, 2)


def _narrow(random: Random, key: Item) -> Item:
    return {"time": _s(_time(random)), "value": _n(random.randint(-(10**6), 10**6))}


def _order(random: Random, key: Item) -> Item:
    """26 attributes, nested ones among them, in random order."""

    def maybe(share: float) -> bool:
        return random.random() < share

    item: Item = {
        "customer_id": _s(f"CUST#{random.randrange(10**8):08d}"),
        "created_at": _s(_time(random)),
        "updated_at": _s(_time(random)),
        "status": _s(random.choice(("new", "paid", "packed", "shipped", "returned"))),
        "currency": _s(random.choice(("EUR", "USD", "JPY", "CHF"))),
        "total": _n(_money(random)),
        "tax": _n(_money(random)),
        "discount": _n("0" if maybe(0.7) else _money(random)),
        "item_count": _n(random.randint(1, 6)),
        "version": _n(random.randint(1, 30)),
        "epoch_ms": _n(1_767_225_600_000 + random.randrange(10**10)),
        "is_paid": {"BOOL": maybe(0.8)},
        "is_gift": {"BOOL": maybe(0.1)},
        "ship_to": {
            "M": {
                "street": _s(_text(random, 2, 3)),
                "city": _s(random.choice(_WORDS)),
                "zip": _s(f"{random.randrange(10**5):05d}"),
                "country": _s(random.choice(("DE", "CH", "JP", "US"))),
                "lat": _n(_degrees(random, 90)),
                "lon": _n(_degrees(random, 180)),
            }
        },
        "items": {
            "L": [
                {
                    "M": {
                        "sku": _s(_hex(random, 12)),
                        "name": _s(_text(random, 3, 3)),
                        "qty": _n(random.randint(1, 9)),
                        "price": _n(_money(random)),
                        "gift": {"BOOL": maybe(0.1)},
                    }
                }
                for _ in range(random.randint(1, 4))
            ]
        },
    }
    optional: tuple[tuple[str, float, Callable[[], dict[str, Any]]], ...] = (
        ("email", 0.8, lambda: _s(f"{_hex(random, 10)}@example.com")),
        ("coupon", 0.5, lambda: _s(_hex(random, 8)) if maybe(0.6) else {"NULL": True}),
        ("note", 0.3, lambda: _s(_text(random, 3, 15))),
        ("tags", 0.7, lambda: {"SS": random.sample(_WORDS[:7], random.randint(1, 3))}),
        ("scores", 0.4, lambda: {"NS": [str(n) for n in random.sample(range(101), random.randint(1, 3))]}),
        ("big_id", 0.9, lambda: _n(random.randrange(2**53, 2**63))),
        ("exact", 0.5, lambda: _n(f"{random.randrange(1, 10**18)}.{random.randrange(1, 10**19):019d}")),
        ("sig", 0.2, lambda: {"B": random.randbytes(16)}),
        ("delivered_at", 0.6, lambda: _s(_time(random)) if maybe(0.7) else {"NULL": True}),
        ("weight", 0.5, lambda: _n(_decimal(random, 100, 3))),
    )
    for name, share, make in optional:
        if maybe(share):
            item[name] = make()
    names = list(item)
    random.shuffle(names)
    return {name: item[name] for name in names}


def _single_key(random: Random, item: int) -> Item:
    kind = random.choice(("user", "order", "product", "event", "login"))
    number = item * 618_033_989 % 10**9  # looks random, and no two items share one
    pk, sk = {
        "user": (f"USER#{number}", "PROFILE"),
        "order": (f"USER#{number}", f"ORDER#{_hex(random, 16)}"),
        "product": (f"PROD#{number}", "META"),
        "event": (f"EVT#{_hex(random, 16)}", _time(random)),
        "login": (f"SESS#{_hex(random, 16)}", "S"),
    }[kind]
    return {"pk": _s(pk), "sk": _s(sk)}


def _single(random: Random, key: Item) -> Item:
    """Five kinds of entities in one table, with attributes whose type differs from item to item."""

    def either(number: object) -> dict[str, Any]:
        return _n(str(number)) if random.random() < 0.7 else _s(str(number))

    pk, sk = key["pk"]["S"], key["sk"]["S"]
    if sk == "PROFILE":
        preferences = {"M": {"theme": _s(random.choice(("dark", "light"))), "n": _n(random.randrange(10))}}
        return {
            "type": _s("user"),
            "name": _s(_text(random, 2, 2)),
            "email": _s(f"{_hex(random, 8)}@example.com"),
            "age": either(random.randint(18, 99)),
            "created": _s(_time(random)),
            "prefs": preferences,
        }
    if sk.startswith("ORDER#"):
        lines = [
            {"M": {"sku": _s(_hex(random, 8)), "q": either(random.randint(1, 9))}} for _ in range(random.randint(1, 3))
        ]
        created = _n(1_767_225_600 + random.randrange(10**7))
        return {"type": _s("order"), "total": either(_money(random)), "created": created, "lines": {"L": lines}}
    if pk.startswith("PROD#"):
        words = random.sample(_WORDS[:7], 2)
        tags: dict[str, Any] = (
            {"SS": words} if random.random() < 0.5 else {"L": [_s(words[0]), _n(random.randrange(9))]}
        )
        names = [chr(97 + random.randrange(26)) + chr(97 + random.randrange(26)) for _ in range(2)]
        return {
            "type": _s("product"),
            "price": either(_money(random)),
            "tags": tags,
            "attrs": {"M": {name: _s(random.choice(_WORDS)) for name in names}},
        }
    if pk.startswith("EVT#"):
        value = {"M": {"a": _n(random.randrange(99))}} if random.random() < 0.2 else either(random.randrange(10**4))
        ok = {"BOOL": random.random() < 0.5} if random.random() < 0.8 else {"NULL": True}
        return {"type": _s("event"), "value": value, "ok": ok}
    mix = {"L": [_s("x"), _n("1.5"), {"NULL": True}, {"L": [_n(random.randrange(9))]}]}
    return {
        "type": _s("login"),
        "ttl": _n(1_900_000_000 + random.randrange(10**6)),
        "blob": {"B": random.randbytes(24)},
        "value": _s(_hex(random, 6)),
        "empty": {"M": {}},
        "mix": mix,
    }


PROFILES: Final = {
    "narrow": Profile("narrow", {"id": "S"}, lambda random, item: {"id": _s(_hex(random, 32))}, _narrow),
    "order": Profile(
        "order", {"order_id": "S"}, lambda random, item: {"order_id": _s(f"ORD#{_hex(random, 32)}")}, _order
    ),
    "single-table": Profile("single-table", {"pk": "S", "sk": "S"}, _single_key, _single),
}
