"""Answers as the service wrote them: botocore's walk through every value costs several times what everything else does."""

from __future__ import annotations

import functools
import json
from typing import Any


def keep_raw(client: Any, service: str, operation: str, member: str) -> None:
    """From now on `client` gives `member` of the operation's answers as plain JSON: binary is base64 text, times are numbers."""
    event = f"before-parse.{service}.{operation}"
    client.meta.events.register(event, functools.partial(take_out, member), unique_id=event)


def take_out(member: str, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Take a member out of an answer before botocore looks at it. What is no such answer stays as it is."""
    if response_dict["status_code"] != 200:
        return
    try:
        answer = json.loads(response_dict["body"])
        customized_response_dict[member] = answer.pop(member)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    response_dict["body"] = json.dumps(answer).encode()
