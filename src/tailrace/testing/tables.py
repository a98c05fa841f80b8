"""A table in memory: real code that keeps the table port, for tests and examples."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from zlib import crc32

from tailrace.capture.table import Item
from tailrace.model.keys import KeySchema, canonical_key

PAGE_ITEMS = 100


class MemoryTable:
    """Keeps `tailrace.capture.table.TableSource` in a dictionary; safe between threads."""

    def __init__(self, keys: KeySchema) -> None:
        self.keys = keys
        self._items: dict[str, Item] = {}
        self._lock = threading.Lock()

    def put(self, item: Item) -> None:
        with self._lock:
            self._items[canonical_key(self.keys, item)] = item

    def delete(self, key: Item) -> None:
        with self._lock:
            self._items.pop(canonical_key(self.keys, key), None)

    def scan(self, scan_segment: int, scan_segments: int) -> Iterator[Sequence[Item]]:
        with self._lock:
            names = [name for name in self._items if crc32(name.encode()) % scan_segments == scan_segment]
        for start in range(0, len(names), PAGE_ITEMS):
            with self._lock:
                page = [self._items[n] for n in names[start : start + PAGE_ITEMS] if n in self._items]
            yield page

    def get_items(self, keys: Sequence[Item]) -> list[Item]:
        names = [canonical_key(self.keys, key) for key in keys]
        if len(set(names)) != len(names):
            raise ValueError("a key is asked for twice, which DynamoDB refuses")
        with self._lock:
            return [self._items[name] for name in names if name in self._items]
