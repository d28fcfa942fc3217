"""The application: routes, rules, and problems for whatever goes wrong."""

from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from services.gateway import pages
from services.gateway.answers import Json
from services.gateway.guard import Guard
from services.gateway.openapi import describe
from services.gateway.problems import MEDIA_TYPE, Problem, code_for_status
from services.gateway.routes import audio, board, stations, system
from services.gateway.state import Gateway

_ABOUT: Final = (
    "What streams and stations sound like now, what they sounded like, and audio in. Errors are "
    "problem details (RFC 9457) with a remedy. Where GENRESTREAM_TOKEN is set, send it as "
    "Authorization: Bearer."
)


def create_app(gateway: Gateway) -> ASGIApp:
    """Make the application for a gateway."""
    app = FastAPI(
        title="genrestream",
        version=version("genrestream"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
    )
    app.state.gateway = gateway
    for routes in (board, audio, stations, system):
        app.include_router(routes.router)
    app.include_router(pages.router)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _failed)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # FastAPI's own way
    return Guard(app, gateway.access)


async def _problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    request.app.state.gateway.counters.refused.labels(problem.code).inc()
    body, headers = problem.body(), dict(problem.headers)
    return Json(body, problem.status, headers, MEDIA_TYPE)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = first["loc"][-1] if first["loc"] else "request"
    return await _problem(request, Problem("bad-request", f"{name}: {first['msg']}."))


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return await _problem(request, Problem(code_for_status(error.status_code), "", headers))
