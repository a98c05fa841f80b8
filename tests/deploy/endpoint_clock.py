"""The embedded endpoint's clock, for processes that are to live in its time. Waiting takes as long as it does."""

from __future__ import annotations

import os

from tailrace.clock import SystemClock
from tailrace.local.client import LocalAws


class EndpointClock(SystemClock):
    """What time it is says the endpoint that AWS_ENDPOINT_URL names."""

    def now_ms(self) -> int:
        endpoint = LocalAws()
        endpoint.endpoint_url = os.environ["AWS_ENDPOINT_URL"]
        return int(endpoint.clock() * 1000)
