"""A table in memory: real code that keeps the table port, for tests and examples."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from zlib import crc32

from tailrace.capture.table import Item, ScanPage
from tailrace.model.keys import KeySchema, canonical_key
from tailrace.model.scan import ScanPosition

PAGE_ITEMS = 100


class MemoryTable:
    """Keeps `tailrace.capture.table.TableSource` in a dictionary; safe between threads. A scan runs in the order of hashes."""

    def __init__(self, keys: KeySchema, page_items: int = PAGE_ITEMS) -> None:
        self.keys = keys
        self.page_items = page_items
        self._items: dict[str, Item] = {}
        self._lock = threading.Lock()

    def put(self, item: Item) -> None:
        with self._lock:
            self._items[canonical_key(self.keys, item)] = item

    def delete(self, key: Item) -> None:
        with self._lock:
            self._items.pop(canonical_key(self.keys, key), None)

    def scan_page(self, scan_segment: int, scan_segments: int, after: ScanPosition | None) -> ScanPage:
        behind = ("", "") if after is None else _place(canonical_key(self.keys, after))
        with self._lock:
            names = sorted(_place(name) for name in self._items)
            left = [p for p in names if int(p[0], 16) % scan_segments == scan_segment and p > behind]
            page = [self._items[name] for _, name in left[: self.page_items]]
        last = {name: dict(page[-1][name]) for name in self.keys.names} if len(left) > self.page_items else None
        return ScanPage(page, last, len(page))

    def get_items(self, keys: Sequence[Item]) -> list[Item]:
        names = [canonical_key(self.keys, key) for key in keys]
        if len(set(names)) != len(names):
            raise ValueError("a key is asked for twice, which DynamoDB refuses")
        with self._lock:
            return [self._items[name] for name in names if name in self._items]


def _place(name: str) -> tuple[str, str]:
    return f"{crc32(name.encode()):08x}", name
