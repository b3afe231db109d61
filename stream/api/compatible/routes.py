"""The providers' paths in the app: credentials, and answers and errors worded like the provider's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from litestar import Request, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from stream.api.access.authentication import caller_of
from stream.api.access.caller import Caller, user_and_password
from stream.api.compatible.documentation import error_responses, operation_of
from stream.api.compatible.telnyx_store import ArchivedTelnyx
from stream.api.compatible.twilio_store import ArchivedTwilio
from stream.api.numbers import audit, shown
from stream.api.parts import parts_of
from stream.api.problems import Refused
from stream.archive.questions import StoredCall
from stream.archive.reader import Archive
from stream.provider_api.http_types import ApiError, ApiRequest, ApiResponse, ErrorResponses, Route
from stream.provider_api.telnyx_api import TELNYX, TELNYX_ERRORS, TelnyxApi
from stream.provider_api.twilio_answers import TWILIO, TWILIO_ERRORS, not_found
from stream.provider_api.twilio_api import TwilioApi

_ERRORS = {TWILIO: TWILIO_ERRORS, TELNYX: TELNYX_ERRORS}
_SUFFIX = ".json"


def routes() -> Sequence[ControllerRouterHandler]:
    """The resources of both providers, each with the errors of its own."""
    resources = _resources(_nobody, _nobody)
    return [
        Router(
            "/",
            route_handlers=[_handler(one) for one in resources if one.provider == provider],
            exception_handlers={Refused: partial(_refused, errors)},
            tags=[f"As {provider.capitalize()} answers"],
        )
        for provider, errors in _ERRORS.items()
    ]


def _resources(
    twilio: Callable[[ApiRequest], ArchivedTwilio], telnyx: Callable[[ApiRequest], ArchivedTelnyx]
) -> list[Route]:
    return [*TwilioApi(twilio).routes(), *TelnyxApi(telnyx).routes()]


def _nobody(_: ApiRequest) -> Any:
    raise ApiError(not_found(""))


def _handler(route: Route) -> HTTPRouteHandler:
    # A variable part of a path is a whole segment here.
    path = route.path.replace("{call}.json", "{call}").replace("}", ":str}")

    async def respond(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        parts, caller = parts_of(request), caller_of(request)
        asked = _asked(request, has_suffix=route.path.endswith("{call}.json"))
        if asked is None:
            return _response(not_found(request.url.path))
        answer, told = await parts.reads.run(_answer, route.name, parts.archive, caller, asked)
        audit(caller, ((call.key, call) for call in told))
        return _response(answer)

    return get(
        path,
        name=f"{route.provider}_{route.name}",
        operation_id=f"{route.provider}_{route.name}",
        operation_class=operation_of(route),
        summary=route.respond.__doc__,
        responses=error_responses(route.provider),
    )(respond)


def _asked(request: Request[Any, Any, Any], *, has_suffix: bool) -> ApiRequest | None:
    """The request; None where its path does not end as the resource's."""
    names = {name: str(value) for name, value in request.path_params.items()}
    if has_suffix:
        if not names["call"].endswith(_SUFFIX):
            return None
        names["call"] = names["call"].removesuffix(_SUFFIX)
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else request.url.scheme
    return ApiRequest(
        path=quote(request.url.path),
        names=names,
        parameters=dict(request.query_params.multi_items()),
        authorization=request.headers.get("authorization", ""),
        origin=f"{scheme}://{request.headers.get('host', '')}",
        now_us=time.time_ns() // 1000,
    )


def _answer(
    name: str, archive: Archive, caller: Caller, asked: ApiRequest
) -> tuple[ApiResponse, list[StoredCall]]:
    """The answer, and the calls that it tells of. In a thread."""
    stores: list[ArchivedTwilio | ArchivedTelnyx] = []
    show = partial(shown, caller=caller)

    def twilio(request: ApiRequest) -> ArchivedTwilio:
        account = request.names.get("account")
        user, _ = user_and_password(request.authorization.partition(" ")[2])
        if account is None and user.startswith("AC"):
            account = user
        if account is not None and not caller.may_read(account):
            raise ApiError(not_found(request.path))
        accounts = caller.accounts if account is None else frozenset({account})
        store = ArchivedTwilio(archive, accounts, show)
        stores.append(store)
        return store

    def telnyx(_: ApiRequest) -> ArchivedTelnyx:
        store = ArchivedTelnyx(archive, caller.accounts, show)
        stores.append(store)
        return store

    [route] = [one for one in _resources(twilio, telnyx) if one.name == name]
    try:
        answer = route.respond(asked)
    except ApiError as error:
        return error.response, []
    return answer, [call for store in stores for call in store.told]


def _response(answer: ApiResponse) -> Response[dict[str, Any]]:
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))


def _refused(errors: ErrorResponses, _: Request[Any, Any, Any], error: Refused) -> Response[dict[str, Any]]:
    """What the app refuses, in the provider's words."""
    retry_after_s = int(error.headers.get("Retry-After", "1"))
    if error.status == 401:
        return _response(errors.unauthenticated())
    if error.status == 429:
        return _response(errors.too_many(retry_after_s))
    return _response(errors.unavailable(retry_after_s))
