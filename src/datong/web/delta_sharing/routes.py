"""The routes of Delta Sharing. Errors have the protocol's shape, because its clients show it to their users."""

import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Annotated, ParamSpec

from fastapi import Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from datong.kernel import DatongError, JsonValue, NotFound, Text, Unauthenticated
from datong.sharing import DELTA_SHARING_PATH, PROFILE_PREFIX, Principal, SharedTable, SharedTableName, TableAnswer
from datong.web.authentication import Hub, bearer_token, principal_of
from datong.web.delta_sharing import documents
from datong.web.delta_sharing.asking import read_changes, read_query, read_since
from datong.web.delta_sharing.documents import CAPABILITIES, NDJSON, TABLE_VERSION
from datong.web.downloads import file_response
from datong.web.problems import DATABASE_DOWN, RETRIED_LATER, RETRY_AFTER_SECONDS, Problem, problem_of
from datong.web.routing import unlisted_routes
from datong.web.services import Services

LOGGER = logging.getLogger("datong.web")
PARQUET_TYPE = "application/vnd.apache.parquet"
router = unlisted_routes(DELTA_SHARING_PATH)
Parameters = ParamSpec("Parameters")


def protocol(handler: Callable[Parameters, Response]) -> Callable[Parameters, Response]:
    """Make a handler's errors leave as the protocol has them: `errorCode`, and `message` in both languages."""

    @wraps(handler)
    def answer(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Response:
        try:
            return handler(*args, **kwargs)
        except DatongError as error:
            return _error(problem_of(error))
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            LOGGER.warning("the control database did not answer a delta sharing call: %s", error)
            return _error(DATABASE_DOWN)

    return answer


def caller_of(request: Request, services: Services) -> Principal | None:
    """Return who calls: an application by its profile's token or its access token, or a person by a session.

    Raises:
        Unauthenticated: the credentials are unknown, expired or revoked.
    """
    token = bearer_token(request)
    if token is not None and token.startswith(PROFILE_PREFIX):
        return services.profiles.recognise(token)
    return principal_of(request, services) if token is not None else None


def require_caller(request: Request, services: Services) -> Principal:
    """Return who calls.

    Raises:
        Unauthenticated: nobody says who it is, or see `caller_of`.
    """
    caller = caller_of(request, services)
    if caller is None:
        raise Unauthenticated(
            "web.credentials_missing",
            what=Text(zh="请求没有携带身份凭据。", en="The request carries no credentials."),
            remedy=Text(zh="请使用在应用页面下载的凭据文件。", en="Use the profile from the application's page."),
        )
    return caller


async def _body(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_body)]


@router.get("/shares")
@protocol
def list_shares(request: Request, hub: Hub) -> Response:
    """Return the providers that share something with the caller's department."""
    tables = hub.delta_shares.tables(require_caller(request, hub))
    shares = {table.name.share: table.provider for table in tables}
    return _page(request, [{"name": name, "id": provider} for name, provider in shares.items()])


@router.get("/shares/{share}")
@protocol
def get_share(request: Request, hub: Hub, share: str) -> Response:
    """Return one share."""
    table = _in_share(hub, require_caller(request, hub), share)[0]
    return _json({"share": {"name": table.name.share, "id": table.provider}})


@router.get("/shares/{share}/schemas")
@protocol
def list_schemas(request: Request, hub: Hub, share: str) -> Response:
    """Return the service items for which a provider shares something."""
    tables = _in_share(hub, require_caller(request, hub), share)
    names = dict.fromkeys(table.name.schema_name for table in tables)
    return _page(request, [{"name": name, "share": tables[0].name.share} for name in names])


@router.get("/shares/{share}/schemas/{schema}/tables")
@protocol
def list_tables(request: Request, hub: Hub, share: str, schema: str) -> Response:
    """Return the tables that may be used for a service item."""
    wanted = schema.lower()
    tables = [
        table
        for table in _in_share(hub, require_caller(request, hub), share)
        if wanted in {table.name.schema_name.lower(), table.purpose.lower()}
    ]
    if not tables:
        raise _unknown(schema)
    return _page(request, [documents.table_item(table) for table in tables])


@router.get("/shares/{share}/all-tables")
@protocol
def list_all_tables(request: Request, hub: Hub, share: str) -> Response:
    """Return every table of a share."""
    tables = _in_share(hub, require_caller(request, hub), share)
    return _page(request, [documents.table_item(table) for table in tables])


def _name(share: str, schema: str, table: str) -> SharedTableName:
    return SharedTableName(share=share, schema_name=schema, table=table)


Table = Annotated[SharedTableName, Depends(_name)]
TABLE = "/shares/{share}/schemas/{schema}/tables/{table}"


@router.get(TABLE + "/version")
@router.head(TABLE)
@protocol
def table_version(request: Request, hub: Hub, name: Table) -> Response:
    """Say in a header which version a table has."""
    since = read_since(request.query_params)
    version = hub.delta_shares.version(require_caller(request, hub), name, since=since)
    return Response(headers={TABLE_VERSION: str(version), **_NO_STORE})


@router.get(TABLE + "/metadata")
@protocol
def table_metadata(request: Request, hub: Hub, name: Table) -> Response:
    """Return a table's columns."""
    return _lines(request, hub.delta_shares.metadata(require_caller(request, hub), name))


@router.post(TABLE + "/query")
@protocol
def query_table(request: Request, hub: Hub, name: Table, body: Body) -> Response:
    """Return the files of a version of a table; the call is on record before."""
    caller = require_caller(request, hub)
    return _lines(request, hub.delta_shares.query(caller, name, read_query(body)))


@router.get(TABLE + "/changes")
@protocol
def table_changes(request: Request, hub: Hub, name: Table) -> Response:
    """Return the changes between versions of a table; the call is on record before."""
    caller = require_caller(request, hub)
    return _lines(request, hub.delta_shares.changes(caller, name, read_changes(request.query_params)))


@router.api_route("/files/{release}/{file}", methods=["GET", "HEAD"])
@protocol
def get_file(request: Request, hub: Hub, release: str, file: str) -> Response:
    """Return a prepared file, or a part of it, to whoever holds an address that was signed for it."""
    path = hub.delta_shares.file(release, file, request.query_params, caller_of(request, hub))
    try:
        return file_response(request, path, media_type=PARQUET_TYPE)
    except HTTPException as error:
        return Response(status_code=error.status_code, headers=error.headers)


def _in_share(hub: Services, caller: Principal, share: str) -> list[SharedTable]:
    wanted = share.lower()
    tables = [
        table
        for table in hub.delta_shares.tables(caller)
        if wanted in {table.name.share.lower(), table.provider.lower()}
    ]
    if not tables:
        raise _unknown(share)
    return tables


def _page(request: Request, items: list[dict[str, JsonValue]]) -> Response:
    asked = request.query_params
    return _json(documents.page(items, most=asked.get("maxResults"), token=asked.get("pageToken")))


def _lines(request: Request, answer: TableAnswer) -> Response:
    able = documents.read_capabilities(request.headers.get(CAPABILITIES, ""))
    headers = {TABLE_VERSION: str(answer.version), CAPABILITIES: able.header(), **_NO_STORE}
    return StreamingResponse(documents.lines(answer, able), media_type=NDJSON, headers=headers)


def _json(document: object, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(document, status_code=status, headers={**_NO_STORE, **(headers or {})})


def _error(problem: Problem) -> Response:
    status = HTTPStatus.BAD_REQUEST if problem.status in _MALFORMED else problem.status
    message = f"{problem.what.zh}{problem.remedy.zh} / {problem.what.en} {problem.remedy.en}"
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status in RETRIED_LATER:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return _json({"errorCode": problem.code, "message": message}, status, headers)


_NO_STORE = {"Cache-Control": "no-store"}
_MALFORMED = {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}


def _unknown(name: str) -> NotFound:
    return NotFound(
        "sharing.share_unknown",
        what=Text(zh=f"没有可读的 {name}。", en=f"There is nothing called {name} that you may read."),
        remedy=Text(zh="请从列表中选择。", en="Choose from the list."),
    )
