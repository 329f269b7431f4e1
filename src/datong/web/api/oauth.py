"""OAuth 2.0 client credentials (RFC 6749 §4.4): applications by secret, nodes by a signed assertion (RFC 7523)."""

import base64
import binascii
import json
from typing import Annotated

from fastapi import Form, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from datong.kernel import Invalid, Text, Unauthenticated
from datong.sharing import AccessToken
from datong.web.authentication import Hub
from datong.web.described import Answers
from datong.web.problems import MEDIA_TYPE, ProblemDocument, problem_of, problem_response
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/oauth", tag="oauth")

ASSERTION_CHARS_MAX = 8192
CREDENTIAL_CHARS_MAX = 512


class TokenProblem(ProblemDocument):
    """A refusal of the token endpoint: problem details with what OAuth's clients look for."""

    error: str = ""
    error_description: str = ""


_REFUSALS: Answers = {
    "4XX": {
        "description": "A refusal: problem details, with `error` as RFC 6749 §5.2 wants where a grant is refused.",
        "content": {MEDIA_TYPE: {"schema": TokenProblem.model_json_schema()}},
    }
}


class TokenRequest(BaseModel):
    """The form of a token request; fields it does not know are ignored (RFC 6749 §3.2)."""

    grant_type: str
    client_id: str | None = Field(None, max_length=CREDENTIAL_CHARS_MAX)
    client_secret: str | None = Field(None, max_length=CREDENTIAL_CHARS_MAX)
    client_assertion_type: str | None = None
    client_assertion: str | None = Field(None, max_length=ASSERTION_CHARS_MAX)


@router.post("/token", response_model=AccessToken, responses=_REFUSALS)
def issue_token(form: Annotated[TokenRequest, Form()], request: Request, hub: Hub) -> AccessToken | Response:
    """Exchange credentials for an access token; a refusal says `error` as RFC 6749 §5.2 wants."""
    try:
        return token_for(form, request, hub)
    except (Invalid, Unauthenticated) as error:
        refused = problem_response(request, problem_of(error))
        code = "invalid_client" if isinstance(error, Unauthenticated) else "unsupported_grant_type"
        body = {**json.loads(bytes(refused.body)), "error": code, "error_description": error.what.en}
        headers = {name: value for name, value in refused.headers.items() if name != "content-length"}
        return JSONResponse(body, status_code=refused.status_code, headers=headers)


def token_for(form: TokenRequest, request: Request, hub: Services) -> AccessToken:
    """Return a token for the credentials of a request.

    Raises:
        Invalid: another grant is asked for. Unauthenticated: the credentials are missing or wrong.
    """
    if form.grant_type != "client_credentials":
        raise Invalid(
            "web.grant_type_unsupported",
            what=Text(zh="只支持 client_credentials。", en="Only client_credentials is supported."),
            remedy=Text(zh="请把 grant_type 设为 client_credentials。", en="Set grant_type to client_credentials."),
            field="/grant_type",
            context={"error": "unsupported_grant_type"},
        )
    if form.client_assertion is not None:
        return hub.identity.token_for_assertion(form.client_assertion)
    return hub.identity.token_for_application(*client_credentials(form, request.headers.get("authorization", "")))


def client_credentials(form: TokenRequest, authorization: str) -> tuple[str, str]:
    """Return id and secret from the form (client_secret_post) or the header (client_secret_basic).

    Raises:
        Unauthenticated: neither holds both.
    """
    if form.client_id and form.client_secret:
        return form.client_id, form.client_secret
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if colon:
            return client_id, secret
    raise Unauthenticated(
        "web.client_credentials_missing",
        what=Text(zh="请求没有携带客户端凭据。", en="The request carries no client credentials."),
        remedy=Text(
            zh="请提供 client_id 和 client_secret，或 client_assertion。",
            en="Send client_id and client_secret, or a client_assertion.",
        ),
        context={"error": "invalid_client"},
    )
