"""The command group `datong hub sign-in`: identity providers, links of accounts to them, ways that a role asks for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from datong.app.hub import Hub
from datong.kernel import PLATFORM_ACTOR, DatongError, Invalid, NotFound, Settings, Text
from datong.sharing import Role, SignInMethod

app = typer.Typer(help="登录方式 · ways to sign in", no_args_is_help=True)

Username = Annotated[str, typer.Argument(help="登录名 · name to sign in with")]


@app.command()
def providers(
    check: Annotated[bool, typer.Option("--check", help="逐个询问 · ask each of them")] = False,
) -> None:
    """列出身份提供方 · List the identity providers; with --check whether each answers as it should (1 if not)."""
    failed = False
    with _hub() as hub:
        openid = hub.services.openid
        for one in openid.providers:
            said = f"{one.id}  {one.issuer}  {one.claim or '-'}={one.account}  {one.unknown}"
            if check:
                try:
                    metadata = openid.metadata(one.id)
                    said += f"  ok {metadata.authorization_endpoint}"
                except DatongError as error:
                    failed, said = True, f"{said}  {error.code}: {error.what.zh} · {error.what.en}"
            typer.echo(said)
    if failed:
        raise typer.Exit(1)


@app.command()
def links(username: Annotated[str, typer.Argument(help="登录名；空则全部 · empty: everybody")] = "") -> None:
    """列出账号与身份的关联 · List which accounts are linked to whom at which provider."""
    with _hub() as hub:
        services = hub.services
        person = services.identity.account_of(username).id if username else None
        for one in services.identity_links.of(person):
            when = f"{one.linked_at:%Y-%m-%dT%H:%MZ}  {one.used_at:%Y-%m-%dT%H:%MZ}"
            typer.echo(f"{one.username}  {one.provider}  {one.subject}  {when}")


@app.command()
def unlink(
    username: Username, provider: Annotated[str, typer.Argument(help="提供方编号 · id of the provider")]
) -> None:
    """解除关联，由它开始的会话立即结束 · Cut a link; sessions that began by it end at once."""
    with _hub() as hub:
        services = hub.services
        person = services.identity.account_of(username).id
        found = [one for one in services.identity_links.of(person) if one.provider == provider]
        if not found:
            raise NotFound(
                "app.link_unknown",
                what=Text(zh=f"{username} 没有与 {provider} 关联。", en=f"{username} is not linked to {provider}."),
                remedy=Text(zh="见 datong hub sign-in links。", en="See datong hub sign-in links."),
            )
        services.identity_links.unlink(person, found[0].id, actor=PLATFORM_ACTOR)
        typer.echo(f"{username} {provider}")


@app.command()
def rules() -> None:
    """列出各角色要求的登录方式 · List the ways of signing in that suffice for each role; a role without a line: any."""
    with _hub() as hub:
        for one in hub.services.sign_in_rules.all():
            typer.echo(f"{one.role.value}  {' '.join(sorted(one.methods))}")


@app.command()
def require(
    role: Annotated[str, typer.Argument(help="角色 · role")],
    methods: Annotated[list[str] | None, typer.Argument(help="可用的方式；空则取消要求 · ways; none: any")] = None,
) -> None:
    """规定一个角色可用的登录方式，下次登录起生效 · Say by which ways a role may sign in from now on."""
    asked = methods or []
    unknown = sorted(set(asked) - set(SignInMethod)) + sorted({role} - set(Role))
    if unknown:
        raise Invalid(
            "app.method_unknown",
            what=Text(zh=f"没有 {'、'.join(unknown)}。", en=f"There is no {', '.join(unknown)}."),
            remedy=Text(
                zh=f"角色：{'、'.join(Role)}；方式：{'、'.join(SignInMethod)}。",
                en=f"Roles: {', '.join(Role)}; ways: {', '.join(SignInMethod)}.",
            ),
        )
    with _hub() as hub:
        chosen = frozenset(SignInMethod(one) for one in asked)
        hub.services.sign_in_rules.set(Role(role), chosen, actor=PLATFORM_ACTOR)
        typer.echo(f"{role}  {' '.join(sorted(chosen))}")


@contextmanager
def _hub() -> Iterator[Hub]:
    opened = Hub(Settings.from_environment(os.environ))
    try:
        yield opened
    finally:
        opened.close()
