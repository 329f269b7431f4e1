"""The peer of the gateway's benchmark: a bare Starlette handler that looks the same records up, and nothing else.

No caller, no agreement, no masking, no evidence: what the web server and the lookup alone cost.
"""

import json
import sqlite3
import sys

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LOOKUP = (
    "SELECT payload FROM key JOIN row ON row.id = key.row WHERE element = ? AND value = ? ORDER BY row.id LIMIT 100"
)


def application(path: str) -> Starlette:
    """Return an application over the lookup file at `path`."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)

    def rows(key: dict[str, str], columns: list[str]) -> list[dict[str, str | None]]:
        element, value = next(iter(key.items()))
        found = []
        for (payload,) in connection.execute(LOOKUP, (element, value)):
            _, *cells = json.loads(payload)
            record = {cell[0]: cell[1] for cell in cells}
            found.append({column: record.get(column) for column in columns})
        return found

    async def query(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        return Response(orjson.dumps({"rows": rows(asked["key"], asked["items"])}), media_type="application/json")

    async def verify(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        records = rows(asked["key"], list(asked["claims"]))
        results = {
            column: "match" if any(record[column] == value for record in records) else "no_match"
            for column, value in asked["claims"].items()
        }
        return Response(orjson.dumps({"results": results}), media_type="application/json")

    async def health(_request: Request) -> Response:
        return Response("ok")

    return Starlette(
        routes=[
            Route("/query", query, methods=["POST"]),
            Route("/verify", verify, methods=["POST"]),
            Route("/healthz", health),
        ]
    )


def main() -> None:
    """Serve: `python -m benchmarks.bare LOOKUP_FILE PORT`."""
    uvicorn.run(application(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")


if __name__ == "__main__":
    main()
