"""The command group `datong hub`: prepare, serve, do background work, open accounts."""

import os
import secrets
import signal
import sys
from typing import Annotated

import typer
import uvicorn

from datong import web
from datong.app import backup_commands, hub_key_commands, sign_in_commands
from datong.app.background import Background, cache_worker
from datong.app.backup_metrics import BackupMetrics, publish_work
from datong.app.fsck import check, lines
from datong.app.hub import Hub
from datong.app.logs import start_logging
from datong.app.worker import WORK_METRICS
from datong.cli.shell import say_json
from datong.exchange import share_heap
from datong.kernel import PLATFORM_ACTOR, DepartmentCode, Invalid, Settings, Text, both
from datong.kernel.collector import few_heaps, settle
from datong.ledger import Month
from datong.sharing import Role

KEEP_ALIVE_SECONDS = 30
PASSWORD_BYTES = 9
TURN_SECONDS = 0.001
"""How long a thread that computes may keep the interpreter while another wants it (CPython's own is 5 ms). A batch of
the gateway gives it up around each statement: a sweep that computes took five milliseconds each time."""

app = typer.Typer(help="枢纽 · the hub", no_args_is_help=True)
app.command()(backup_commands.backup)
app.command()(backup_commands.backups)
app.command()(backup_commands.restore)
app.command()(hub_key_commands.key)
app.command()(hub_key_commands.rotate_key)
app.command()(hub_key_commands.retire_key)
app.add_typer(sign_in_commands.app, name="sign-in")


def read_settings() -> Settings:
    """Return the settings of this process's environment."""
    return Settings.from_environment(os.environ)


@app.command()
def init() -> None:
    """建立数据目录、密钥和控制数据库 · Create the data folder, the key and the control database."""
    opened = Hub(read_settings())
    opened.services.ledger.integrate()
    typer.echo(f"home      {opened.settings.home.absolute()}")
    typer.echo(f"database  {opened.settings.effective_database_url.split('@')[-1]}")
    typer.echo(f"log key   {opened.signer.public_key.hex()}")
    opened.close()


@app.command()
def serve() -> None:
    """运行枢纽 · Serve the console, the interfaces and (by default) background work."""
    settings = read_settings()
    start_logging(settings)
    few_heaps()
    share_heap()
    sys.setswitchinterval(TURN_SECONDS)
    opened = Hub(settings)
    background = Background(opened) if opened.settings.work_inside_serve else cache_worker(opened)
    if background is not None:
        background.start()
    # Uvicorn raises a signal that ended it at once once more when it has closed its connections; it must then end the
    # background work too, and not the process at once.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    draining = web.Draining()
    config = uvicorn.Config(
        web.create_app(opened.services, opened.settings, draining, collectors=(*WORK_METRICS, BackupMetrics(settings))),
        http=web.HotProtocol,
        host=opened.settings.host,
        port=opened.settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=web.GRACE_SECONDS,
    )
    settle()
    try:
        web.DrainingServer(config, draining, opened.settings.drain_seconds).run()
    finally:
        if background is not None:
            background.stop()
        opened.close()


@app.command()
def work() -> None:
    """只做后台工作 · Do background work only; each such process needs a DATONG_WORKER_NAME of its own."""
    settings = read_settings()
    start_logging(settings)
    few_heaps()
    share_heap()
    opened = Hub(settings)
    # From here on a signal ends the work and not the process at once; a pipe takes it whatever is being done.
    told, tell = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(tell, b"."))
    background = Background(opened)
    background.start()
    if settings.worker_metrics_port:
        publish_work(settings)
    settle()
    os.read(told, 1)
    background.stop()
    opened.close()


@app.command()
def fsck(
    as_json: Annotated[bool, typer.Option("--json", help="以 JSON 输出 · print the report as JSON")] = False,
) -> None:
    """核对数据库与存证日志 · Compare the database with the log, also beside a running hub; 1 where they differ."""
    opened = Hub(read_settings())
    report = check(opened, quiet=as_json)
    opened.close()
    if as_json:
        say_json(report)
    else:
        typer.echo("\n".join(lines(report)))
    if report.faults:
        raise typer.Exit(1)


@app.command()
def archive(
    month: Annotated[str, typer.Argument(help="已结束的月份，例如 2026-10 · a month that is over, e.g. 2026-10")],
    restore: Annotated[bool, typer.Option("--restore", help="取回已归档的月份 · bring an archived month back")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="以 JSON 输出 · print the shard as JSON")] = False,
) -> None:
    """归档一个月的存证日志文件 · Put the log's files of one month into a shard, which is read where it lies."""
    chosen = Month.parse(month)
    opened = Hub(read_settings())
    ledger, folder = opened.services.ledger, opened.settings.effective_log_shards
    shard = ledger.restore(chosen, folder) if restore else ledger.archive(chosen, folder)
    opened.close()
    if as_json:
        say_json(shard)
        return
    done = Text(zh="已取回", en="restored from") if restore else Text(zh="已归档到", en="archived in")
    typer.echo(f"{month}: #{shard.begin}-#{shard.end - 1} {both(done)} {shard.path}")


@app.command("create-account")
def create_account(
    username: Annotated[str, typer.Argument(help="登录名 · name to sign in with")],
    role: Annotated[list[str], typer.Option(help="角色，可重复 · role, may be repeated")],
    name: Annotated[str, typer.Option(help="姓名 · the person's name")] = "",
    department: Annotated[str, typer.Option(help="部门代码 · code of the department")] = "",
    password: Annotated[str, typer.Option(help="口令；空则生成 · password; empty: generated and printed")] = "",
) -> None:
    """开立账号，例如第一个运维账号 · Open an account, for example the first operator's."""
    roles = _roles(role)
    chosen = password or secrets.token_urlsafe(PASSWORD_BYTES)
    opened = Hub(read_settings())
    account = opened.services.identity.create_account(
        username=username,
        password=chosen,
        name=name or username,
        department=DepartmentCode(department) if department else None,
        roles=roles,
        actor=PLATFORM_ACTOR,
    )
    opened.close()
    typer.echo(f"{account.username}" if password else f"{account.username} {chosen}")


@app.command("close-account")
def close_account(
    username: Annotated[str, typer.Argument(help="登录名 · name to sign in with")],
    reopen: Annotated[bool, typer.Option("--reopen", help="重新启用 · open it again")] = False,
) -> None:
    """停用账号，立即结束其全部会话 · Close an account, which ends its sessions at once, or open it again."""
    opened = Hub(read_settings())
    identity = opened.services.identity
    account = identity.set_disabled(identity.account_of(username).id, disabled=not reopen, actor=PLATFORM_ACTOR)
    opened.close()
    typer.echo(account.username)


@app.command("set-password")
def set_password(username: Annotated[str, typer.Argument(help="登录名 · name to sign in with")]) -> None:
    """生成新口令，旧口令与会话立即失效 · Make a new password and print it; the old one and all sessions end at once."""
    chosen = secrets.token_urlsafe(PASSWORD_BYTES)
    opened = Hub(read_settings())
    identity = opened.services.identity
    account = identity.set_password(identity.account_of(username).id, chosen, actor=PLATFORM_ACTOR)
    opened.close()
    typer.echo(f"{account.username} {chosen}")


@app.command("set-roles")
def set_roles(
    username: Annotated[str, typer.Argument(help="登录名 · name to sign in with")],
    role: Annotated[list[str], typer.Option(help="角色，可重复 · role, may be repeated")],
    department: Annotated[str, typer.Option(help="尚无部门的账号归入该部门 · for an account that has none yet")] = "",
) -> None:
    """给账号这些角色，替换原有角色 · Give an account these roles instead of those it has."""
    roles = _roles(role)
    opened = Hub(read_settings())
    identity = opened.services.identity
    account = identity.set_roles(
        identity.account_of(username).id,
        roles,
        department=DepartmentCode(department) if department else None,
        actor=PLATFORM_ACTOR,
    )
    opened.close()
    typer.echo(f"{account.username} {' '.join(sorted(account.roles))}")


def _roles(named: list[str]) -> frozenset[Role]:
    """Return the roles of these names.

    Raises:
        Invalid: there is no such role.
    """
    unknown = sorted(set(named) - set(Role))
    if unknown:
        raise Invalid(
            "app.role_unknown",
            what=Text(zh=f"没有角色 {'、'.join(unknown)}。", en=f"There is no role {', '.join(unknown)}."),
            remedy=Text(zh=f"可用：{'、'.join(Role)}。", en=f"There are: {', '.join(Role)}."),
            field="--role",
        )
    return frozenset(Role(value) for value in named)
