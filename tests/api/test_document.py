"""Generated requests to every route of the document: no server error, and no answer that it does not name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks

from stream.api.app import make_app
from stream.api.service import routes
from tests.api.clients import ALL, bearer, parts
from tests.api.two_accounts import A_AND_B, archive_of
from tests.searching import examples

SOME = settings(max_examples=examples(3), suppress_health_check=[*HealthCheck])
"""Examples of each route, with parameters as the document wants them, and as it does not."""

CHECKS = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of the API over an archive with calls."""
    with archive_of(tmp_path_factory.mktemp("archive"), A_AND_B) as archive:
        app = make_app(parts(archive, api_rate=1e6, api_timeout_s=60), routes())
        found = schemathesis.openapi.from_asgi("/openapi.json", app)
        yield found.exclude(path_regex="^/v1/live")


@pytest.mark.hypothesis
def test_no_request_has_an_answer_that_the_document_does_not_name(described: Any) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) >= 6
    for operation in operations:
        for mode in schemathesis.GenerationMode:

            @given(case=operation.as_strategy(generation_mode=mode))
            @SOME
            def answers(case: schemathesis.Case) -> None:
                case.call_and_validate(headers=bearer(ALL), checks=[*CHECKS])

            answers()
