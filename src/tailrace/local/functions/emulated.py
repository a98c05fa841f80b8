"""The emulator's functions: what is called there, and what is put in the place of its own.

Functions, versions, aliases, policies, settings and the calls themselves stay the emulator's: a handler is a process that lives
on between calls. Taken from it are the reading of DynamoDB streams, and all that happens after an asynchronous call was accepted.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from tailrace.local.emulator import Emulator, Owner, ServiceError
from tailrace.local.faults import Faults, function_name
from tailrace.local.functions.batches import checked

Created: TypeAlias = Callable[[str, str, str], None]
"""Gets a mapping's UUID, its source and its starting position."""
Accepted: TypeAlias = Callable[[str, Any, int], None]
"""Gets a function's ARN, an event, and how many functions called one another to make it."""

THROTTLED: Final = 429


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a function. `error`: what AWS calls FunctionError. Where `status` is not 200, nothing is known to have run."""

    request_id: str
    status: int
    error: str | None
    payload: bytes
    version: str = "$LATEST"

    @property
    def failed(self) -> bool:
        """The function ran and failed."""
        return self.status == 200 and self.error is not None

    def response_context(self) -> dict[str, Any]:
        """As records for destinations have it."""
        error = {} if self.error is None else {"functionError": self.error}
        return {"statusCode": self.status, "executedVersion": self.version, **error}


class Functions:
    """The functions of all accounts. Every call made here meets the faults planned for `Invoke`."""

    def __init__(self, emulator: Emulator, faults: Faults) -> None:
        from ministack.core import lambda_runtime
        from ministack.services import lambda_svc

        self._emulator = emulator
        self._faults = faults
        self._service = lambda_svc
        self._runtime = lambda_runtime
        lambda_runtime.Worker = _worker_of(lambda_runtime.Worker)
        lambda_svc._execute_function_warm = _with_error_types(lambda_svc._execute_function_warm)

    def on_mapping(self, created: Created) -> None:
        """Streams are not read by the emulator any more; `created` hears of each new mapping, in whichever thread."""
        service = self._service
        service._poll_dynamodb_streams = lambda: False
        service._init_stream_position = created
        create, update = service._create_esm, service._update_esm

        def create_checked(request: dict[str, Any]) -> Any:
            return _checked(service, create, request, request.get("EventSourceArn"), is_new=True)

        def update_checked(mapping: str, request: dict[str, Any]) -> Any:
            source = (service._esms.get(mapping) or {}).get("EventSourceArn")
            return _checked(service, lambda r: update(mapping, r), request, source, is_new=False)

        service._create_esm, service._update_esm = create_checked, update_checked

    def on_event(self, accepted: Accepted) -> None:
        """`accepted` gets every asynchronous call, those of S3, SNS and EventBridge too, in whichever thread, and sees to it."""
        from ministack.services import eventbridge, sns

        service = self._service

        def accept(function: Mapping[str, Any], event: Any) -> None:
            accepted((function.get("config") or function)["FunctionArn"], event, service._invoke_depth.get())

        def dispatch(function_arn: str, payload: str) -> None:
            accepted(function_arn, json.loads(payload), 0)

        class Accepting:
            """The service as SNS sees it."""

            _execute_function_with_config_scope = staticmethod(accept)

            def __getattr__(self, name: str) -> Any:
                return getattr(service, name)

        service.invoke_async_with_retry = accept
        eventbridge._dispatch_to_lambda = dispatch
        sns._lambda_svc = Accepting()

    def mappings(self) -> Iterator[dict[str, Any]]:
        """The event source mappings that read DynamoDB streams, as the emulator keeps them."""
        for _, _, mapping in self._service._iter_all_esms():
            if is_stream(mapping.get("EventSourceArn")):
                yield mapping

    async def invoke(self, function_arn: str, event: Any, *, depth: int = 0) -> Invocation:
        """Call a function and wait for its answer. `depth`: by it the emulator ends functions that call one another for ever."""
        name = function_name(function_arn)
        fault = self._faults.strike("Invoke", {name})
        if fault is not None and fault.kind in ("error", "throttle"):
            return Invocation(str(uuid.uuid4()), THROTTLED if fault.kind == "throttle" else fault.status, None, b"")
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        deep = {self._service._INVOKE_DEPTH_HEADER: str(depth - 1)} if depth else {}
        answer = await self._call("POST", function_arn, "invocations", json.dumps(event).encode(), headers=deep)
        headers = answer.headers
        request_id = headers.get("x-amzn-requestid") or str(uuid.uuid4())
        if fault is not None and fault.kind == "lost_answer":
            return Invocation(request_id, 500, None, b"")
        version = headers.get("x-amz-executed-version", "$LATEST")
        return Invocation(request_id, answer.status, headers.get("x-amz-function-error"), answer.body, version)

    async def dead_letters_of(self, function_arn: str) -> str | None:
        """The queue or topic for events that are given up."""
        answer = await self._call("GET", function_arn, "configuration")
        found: str | None = (_document(answer.body).get("DeadLetterConfig") or {}).get("TargetArn")
        return found

    async def event_settings_of(self, function_arn: str) -> dict[str, Any]:
        """What PutFunctionEventInvokeConfig set; empty where nobody did. Without a version it is that of $LATEST."""
        names = [function_arn] if function_arn.count(":") > 6 else [function_arn, f"{function_arn}:$LATEST"]
        for name in names:
            answer = await self._call("GET", name, "event-invoke-config", version="2019-09-25")
            if answer.status == 200:
                return _document(answer.body)
        return {}

    async def accept(self, function_arn: str, event: Any) -> None:
        """An asynchronous call."""
        headers = {"x-amz-invocation-type": "Event"}
        await self._call("POST", function_arn, "invocations", json.dumps(event).encode(), headers=headers)

    def stop(self) -> None:
        """End the processes of all functions, those in the middle of a call too."""
        self._runtime.reset()

    async def _call(
        self,
        method: str,
        function_arn: str,
        what: str,
        body: bytes = b"",
        *,
        version: str = "2015-03-31",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        path = f"/{version}/functions/{quote(function_arn, safe='')}/{what}"
        signed = {"authorization": Owner.of_arn(function_arn).authorization_of("lambda"), **(headers or {})}
        return await self._emulator.request(method, path, body, signed)


def is_stream(source_arn: Any) -> bool:
    """Whether an event source is a DynamoDB stream."""
    return isinstance(source_arn, str) and source_arn.startswith("arn:aws:dynamodb:") and "/stream/" in source_arn


def _checked(
    service: Any, call: Callable[[dict[str, Any]], Any], request: dict[str, Any], source: Any, *, is_new: bool
) -> Any:
    if not is_stream(source):
        return call(request)
    try:
        return call(checked(request, is_new=is_new))
    except ServiceError as error:
        return service.error_response_json(error.code, str(error), error.status)


def _worker_of(base: Any) -> Any:
    class Worker(base):  # type: ignore[misc]
        """A function's process, with the variables that AWS sets and the emulator does not."""

        def __init__(self, name: str, config: Mapping[str, Any], code: bytes) -> None:
            given = (config.get("Environment") or {}).get("Variables") or {}
            runtime = f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}"
            variables = {
                "TZ": ":UTC",
                **given,
                "_HANDLER": config.get("Handler", ""),
                "AWS_EXECUTION_ENV": runtime,
                "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
                "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            }
            super().__init__(name, {**config, "Environment": {"Variables": variables}}, code)

    return Worker


def _with_error_types(execute: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """An exception is told under the name of its class, as AWS does; the emulator has one name for all."""

    def executed(*arguments: Any) -> dict[str, Any]:
        result = execute(*arguments)
        body = result.get("body")
        if isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError":
            body["errorType"] = _raised(result.get("log", ""), body["errorMessage"]) or body["errorType"]
        return result

    return executed


def _raised(log: str, message: str) -> str | None:
    """The class of the exception with this message at the end of a traceback."""
    first = message.partition("\n")[0]
    told = re.compile(r"(?:\w+\.)*(\w+)" + (re.escape(f": {first}") if first else ""))
    found = (told.fullmatch(line) for line in reversed(log.splitlines()))
    return next((match[1] for match in found if match), None)


def _document(body: bytes) -> dict[str, Any]:
    document = json.loads(body or b"{}")
    return document if isinstance(document, dict) else {}
