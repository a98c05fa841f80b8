"""Every test of decoding and folding runs over both codecs."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from decoding import HAS_NATIVE, Outcome, run

from tailrace import codec
from tailrace.codec import Engine


def _engine(name: str) -> Engine:
    if name == "native" and not HAS_NATIVE:
        pytest.skip("tailrace-core is not installed, so only the Python codec is tested")
    return codec.engine(name)


@pytest.fixture(params=["python", "native"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return _engine(request.param)


@pytest.fixture
def decode(engine: Engine) -> Callable[..., Outcome]:
    return functools.partial(run, engine)


@pytest.fixture
def both() -> tuple[Callable[..., Outcome], Callable[..., Outcome]]:
    """The reference and the native codec, for tests that compare them."""
    return functools.partial(run, _engine("python")), functools.partial(run, _engine("native"))
