"""What is fuzzed: how an input is drawn, and what must hold for each, whatever it is."""

from __future__ import annotations

import gzip
import itertools
import json
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from decoding import Outcome, assert_equal, run
from mutations import VALUES, WORDS, Mutator

from tailrace.codec import engine, native, reference
from tailrace.config import load_config
from tailrace.errors import ExportInvalid, ManifestInvalid, SegmentCorrupt, TailraceError, UserFault
from tailrace.landing.exports import FILES, SUMMARY, md5_of, read_listing
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Manifest
from tailrace.model.schema import AttributeSeen, NumberRange
from tailrace.testing.stores import MemoryStore

CORPUS: Final = Path(__file__).parent / "corpus"
SCHEMA: Final = KeySchema(KeyAttribute("pk", "S"))
KNOWN: Final = {("n", "N"): AttributeSeen(0, NumberRange(False, 20, 3)), ("price", "S"): AttributeSeen(0, None)}
INFLATED_MAX: Final = 64 << 20  # deflate makes at most about a thousand bytes of one

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """`choices`: the values of each option. `check` raises whatever is a finding."""

    name: str
    check: Callable[[bytes, Options], None]
    choices: Mapping[str, tuple[Any, ...]]
    by_line: bool = False
    words: tuple[bytes, ...] = ()

    def corpus(self) -> list[bytes]:
        """By name; the lines of all files where the lines are the inputs."""
        data = [path.read_bytes() for path in self.files()]
        return [line for one in data for line in one.split(b"\n")] if self.by_line else data

    def files(self) -> list[Path]:
        return sorted((CORPUS / self.name).iterdir())

    def mutator(self) -> Mutator:
        return Mutator(self.corpus(), (*VALUES, *self.words), (*WORDS, *self.words), 6 if self.by_line else 1)

    def draw_options(self, random: Random) -> Options:
        return {name: random.choice(values) for name, values in self.choices.items()}

    def all_options(self) -> Iterator[Options]:
        for values in itertools.product(*self.choices.values()):
            yield dict(zip(self.choices, values, strict=True))


# ---- decoder and gzip


def _decoded(name: str, data: bytes, step: int, options: Options) -> Outcome | None:
    """None: the gzip stream is damaged or cut."""
    try:
        return run(engine(name), data, range(step, len(data), step) if step else (), **options)
    except SegmentCorrupt as error:
        _assert_can_be_shown(error)
        return None


def _assert_decoders_agree(data: bytes, step: int, *, isal: bool, **options: Any) -> None:
    expected = _decoded("python", data, 0, options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "HAS_ISAL", isal and native.HAS_ISAL)
        found = _decoded("native", data, step, options)
    assert (expected is None) == (found is None), "only one of them finds the gzip stream damaged"
    if expected is not None and found is not None:
        assert_equal(expected, found)


def check_decoder(lines: bytes, options: Options) -> None:
    """Both codecs give the same, however the bytes are wrapped and cut into pieces."""
    middle = len(lines) // 2
    data = {
        "plain": lambda: lines,
        "gzip": lambda: gzip.compress(lines, 1),
        "members": lambda: gzip.compress(lines[:middle], 1) + gzip.compress(lines[middle:], 0) + b"\0" * 3,
    }[options["wrapped"]]()
    step = options["step"] if len(data) < 1000 * options["step"] else 0
    _assert_decoders_agree(
        data,
        step,
        isal=options["isal"],
        keys=SCHEMA if options["keys"] else None,
        known=KNOWN if options["known"] else None,
        batch_bytes=options["batch_bytes"],
        line_bytes_max=options["line_bytes_max"],
    )


def check_gzip(data: bytes, options: Options) -> None:
    """zlib, ISA-L and the core inflate the same bytes or find the same input damaged, in one piece and in many.

    ISA-L alone may take code tables that are wrong and of which nothing was used: the checksum says so.
    """
    step = options["step"] if len(data) < 5000 * options["step"] else 0
    slow, fast = (_inflated(library, data, step) for library in (zlib, reference.fast_zlib))
    assert slow == fast or (slow is None and fast is not None and _is_confirmed(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "fast_zlib", zlib)
        _assert_decoders_agree(data, step, isal=False, line_bytes_max=1 << 16)


def _inflated(library: Any, data: bytes, step: int) -> bytes | None:
    """None: the stream is damaged or cut."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "fast_zlib", library)
        for size in (len(data) or 1, step or 1 << 15):
            try:
                pieces = (data[at : at + size] for at in range(0, len(data), size))
                found.append(b"".join(_bounded(reference.inflate(pieces))))
            except SegmentCorrupt as error:
                _assert_can_be_shown(error)
                found.append(None)
    assert found[0] == found[1], "it depends on the pieces"
    return found[0]


def _is_confirmed(data: bytes) -> bool:
    """Every member has the checksum and the length that stand behind it."""
    while data.strip(b"\0"):
        member = reference.fast_zlib.decompressobj(wbits=31)
        plain = member.decompress(data)
        behind = data[: len(data) - len(member.unused_data)][-8:]
        if behind != zlib.crc32(plain).to_bytes(4, "little") + len(plain).to_bytes(4, "little"):
            return False
        data = member.unused_data
    return True


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        assert len(piece) <= max(reference.INFLATED_BYTES, 1 << 16)
        total += len(piece)
        assert total <= INFLATED_MAX
        yield piece


# ---- documents


def check_manifest(data: bytes, _options: Options) -> None:
    """A manifest that writes back and reads again as the same value, or ManifestInvalid."""
    try:
        manifest = Manifest.from_bytes(data)
    except ManifestInvalid as error:
        _assert_can_be_shown(error)
        return
    again = manifest.to_bytes()
    assert Manifest.from_bytes(again) == manifest
    assert Manifest.from_bytes(again).to_bytes() == again


def check_config(data: bytes, _options: Options) -> None:
    """A configuration of which every question has an answer, or a fault of the user with a remedy."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        try:
            config = load_config(Path(file.name), {"PLACE": "here", "HOME": "/home/somebody"})
        except UserFault as error:
            _assert_can_be_shown(error)
            return
    config.source.aws()
    for table in config.tables:
        config.name_of(table)
        config.base_of(table)
        config.hash_of(table)
        for target in config.targets_of(table):
            config.mode_of(table, target)
        if config.by_exports(table):
            config.windows_of(table)


FOLDER: Final = "AWSDynamoDB/01772359200123-0a1b2c3d"
SEPARATOR: Final = b"\n----\n"


def check_exports(data: bytes, options: Options) -> None:
    """An export's two manifests, a line between them: a listing of files that lie where they may, or ExportInvalid."""
    summary, _, files = data.partition(SEPARATOR)
    store = MemoryStore()
    for name, content in ((SUMMARY, summary), (FILES, files)):
        if options["without"] != name:
            store.create(f"{FOLDER}/{name}", content)
        md5 = md5_of(content).encode() if options["bad_md5"] != name else content[:24]
        store.create(f"{FOLDER}/{name.removesuffix('.json')}.md5", md5)
    try:
        listing = read_listing(store, FOLDER)
    except ExportInvalid as error:
        _assert_can_be_shown(error)
        return
    assert (options["without"], options["bad_md5"]) == ("", "")
    assert sum(file.items for file in listing.files) == listing.items
    for file in listing.files:
        assert file.name.rpartition("/")[0] in (f"{FOLDER}/data", "AWSDynamoDB/data")
    texts = [listing.export_arn, listing.table_arn, listing.table_id, listing.view, listing.prefix]
    json.dumps([texts, [file.name for file in listing.files]], ensure_ascii=False).encode()


def _assert_can_be_shown(error: TailraceError) -> None:
    assert error.hint
    assert len(f"{error} {error.hint}".encode()) < 20_000


SETTINGS: Final = (
    *(b'"streams"', b'"exports"', b'"scan"', b'"none"', b'"duckdb"', b'"redshift"', b'"current"', b'"s3://lake/x"'),
    *(b'"15m"', b'"4m"', b'"1e3s"', b'"0.5ms"', b'"64MB"', b'"0B"', b"inf", b"-nan", b"1e300", b"9" * 400, b"0.5"),
    *(
        b'"${PLACE}"',
        b'"${"',
        b'["local"]',
        b'["absent"]',
        b'{kind="duckdb",path="x"}',
        b"1979-05-27",
        b"\n[tables.x]\n",
    ),
)
PIECES: Final = {"step": (0, 1, 3, 64, 1000)}
TARGETS: Final = {
    target.name: target
    for target in (
        Target(
            "decoder",
            check_decoder,
            {
                **PIECES,
                "wrapped": ("plain", "gzip", "members"),
                "isal": (False, True),
                "keys": (False, True),
                "known": (False, True),
                "batch_bytes": (1, 300, 1 << 20),
                "line_bytes_max": (200, 1 << 20),
            },
            by_line=True,
        ),
        Target("gzip", check_gzip, PIECES, words=(gzip.compress(b""), b"\x1f\x8b", b"\x1f\x8b\x08\x1f", b"\0" * 30)),
        Target("manifest", check_manifest, {}),
        Target("config", check_config, {}, words=SETTINGS),
        Target(
            "exports",
            check_exports,
            {"without": ("",) * 20 + (SUMMARY, FILES), "bad_md5": ("",) * 20 + (SUMMARY, FILES)},
        ),
    )
}
