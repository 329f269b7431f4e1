"""The command group `datong trial`: a hub with three departments to try things out, and an agreement in one step.

Everything that people decide on a real platform, this decides for them, through the same interface and with the same
evidence: it is for trying out, never for an installation with real departments.
"""

import json
import shlex
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from datong.app.hub import Hub
from datong.app.hub_commands import read_settings
from datong.catalogue import Department
from datong.cli.hub_call import call_hub
from datong.cli.shell import say
from datong.kernel import PLATFORM_ACTOR, Conflict, DepartmentCode, NotFound, Text, Unavailable
from datong.sharing import Role

app = typer.Typer(help="试用环境 · try things out", no_args_is_help=True)

BUREAU, PROVIDER, CONSUMER = (
    DepartmentCode(code) for code in ("11440600MB2D090197", "11440600007029017Q", "11440600007029025K")
)
DEPARTMENTS = {
    BUREAU: (Text(zh="试用数据局", en="Trial Data Bureau"), True),
    PROVIDER: (Text(zh="试用提供部门", en="Trial Provider"), False),
    CONSUMER: (Text(zh="试用需求部门", en="Trial Consumer"), False),
}
ACCOUNTS = {
    "authority": (Role.AUTHORITY, BUREAU),
    "provider": (Role.DATA_OFFICER, PROVIDER),
    "provider-head": (Role.DEPARTMENT_HEAD, PROVIDER),
    "consumer": (Role.DATA_OFFICER, CONSUMER),
}
"""Who acts in a trial; the password of each is its name and `-trial`."""
ENVIRONMENT = "trial.env"
SIGNATURES_SECONDS_MAX = 120.0
POLL_SECONDS = 0.3
TERM = timedelta(days=365)


@app.callback()
def trial() -> None:
    """试用：三个部门的枢纽，一步签成协议 · a hub with three departments, an agreement in one step."""


@app.command("set-up")
def set_up() -> None:
    """建立试用枢纽：部门、账号、节点注册令牌，写入 trial.env · Prepare a hub to try things out; writes trial.env."""
    opened = Hub(read_settings())
    services = opened.services
    if services.departments.all():
        opened.close()
        raise Conflict(
            "app.trial_not_empty",
            what=Text(zh="该枢纽已有部门，不能作试用环境。", en="The hub has departments: it is no place for a trial."),
            remedy=Text(zh="请把 DATONG_HOME 指向空目录。", en="Let DATONG_HOME be an empty folder."),
        )
    for code, (name, is_authority) in DEPARTMENTS.items():
        services.departments.register(
            Department(code=code, name=name, short_name=name, is_authority=is_authority), PLATFORM_ACTOR
        )
    lines = {"DATONG_HUB": opened.settings.base_url}
    for username, (role, department) in ACCOUNTS.items():
        password = f"{username}-trial"
        services.identity.create_account(
            username=username,
            password=password,
            name=username,
            department=department,
            roles=frozenset({role}),
            actor=PLATFORM_ACTOR,
        )
        token = services.identity.authenticate(username, password).token
        lines[f"TRIAL_{username.upper().replace('-', '_')}"] = token
    lines["DATONG_TOKEN"] = lines["TRIAL_CONSUMER"]
    for variable, department in (("PROVIDER_ENROLMENT", PROVIDER), ("CONSUMER_ENROLMENT", CONSUMER)):
        lines[variable] = services.identity.create_enrolment(department=department, actor=PLATFORM_ACTOR)
    path = opened.settings.home / ENVIRONMENT
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in lines.items()))
    path.chmod(0o600)
    opened.close()
    say(Text(zh=f"试用枢纽已就绪，变量在 {path}。", en=f"The trial hub is ready; its variables are in {path}."))


@app.command()
def agree(
    table: Annotated[str, typer.Argument(help="来源表 · table of the source")],
    hub: Annotated[str, typer.Option("--hub", envvar="DATONG_HUB")],
    provider: Annotated[str, typer.Option(envvar="TRIAL_PROVIDER")],
    head: Annotated[str, typer.Option(envvar="TRIAL_PROVIDER_HEAD")],
    authority: Annotated[str, typer.Option(envvar="TRIAL_AUTHORITY")],
    consumer: Annotated[str, typer.Option(envvar="TRIAL_CONSUMER")],
    output: Annotated[Path, typer.Option(help="写出的任务文件 · file of tasks to write")] = Path("tasks.yaml"),
) -> None:
    """编目、发布、申请、签署协议，并写出任务文件 · Publish the table, agree on it, write a file of tasks."""

    def call(token: str, method: str, path: str, body: object = None) -> Any:
        return call_hub(hub, token, method, path, body)

    resource = _published(call, table, provider=provider, head=head, authority=authority)
    request = call(consumer, "POST", "/requests", _demand(resource))["requests"][0]
    agreement = request["agreement_id"]
    for token in (provider, consumer):
        call(token, "POST", f"/agreements/{agreement}/confirm")
    _wait_for_signatures(call, consumer, agreement)
    binding = resource["content"]["binding"]
    mode = "increment" if binding["cursor_column"] else "snapshot"
    task = {"name": table, "agreement": agreement, "to": {"table": table}, "mode": mode}
    output.write_text(json.dumps({"tasks": [task]}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    say(
        Text(
            zh=f"协议 {agreement} 已由双方密钥签署生效；任务写在 {output}。",
            en=f"The agreement {agreement} is signed by both keys and in force; the task is in {output}.",
        )
    )


def _published(call: Any, table: str, *, provider: str, head: str, authority: str) -> Any:
    """Complete, sign off, submit, approve and publish the drafted entry of a table; return it."""
    rows = call(provider, "GET", f"/resources?department={PROVIDER}&limit=200")["rows"]
    found = [row for row in rows if (row["content"]["binding"] or {}).get("table") in (table, f"public.{table}")]
    if not found:
        raise NotFound(
            "app.trial_table",
            what=Text(zh=f"目录中没有表 {table} 的草稿。", en=f"The catalogue has no draft of the table {table}."),
            remedy=Text(zh="请先运行 datong node inventory。", en="Run datong node inventory first."),
        )
    path = f"/resources/{found[0]['id']}"
    drafted = call(provider, "GET", path)
    content = drafted["content"]
    terms = {"share_type": "1", "share_modes": ["bulk"], "open": False}
    content |= terms | {
        "title": {"zh": table, "en": table},
        "summary": {"zh": "试用", "en": "For trying out"},
        "classification": "101001",
        "use_condition": "试用",
        "data_category": "personal",
        "assessment": {
            "secrecy": "不涉及国家秘密",
            "personal_information": "风险可控",
            "conclusion": "passed",
            "assessed_by": "试用",
            "assessed_on": "2026-01-01",
        },
        "items": [item | terms for item in content["items"]],
    }
    call(provider, "PUT", path, {"expected_version": drafted["version"], "content": content})
    call(head, "POST", f"{path}/actions", {"action": "sign_off", "position": "试用"})
    call(provider, "POST", f"{path}/actions", {"action": "submit"})
    call(authority, "POST", f"{path}/actions", {"action": "approve"})
    return call(authority, "POST", f"{path}/actions", {"action": "publish"})


def _demand(resource: Any) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "lines": [{"resource_id": resource["id"], "items": [item["column"] for item in resource["content"]["items"]]}],
        "purpose": {
            "legal_basis": "《政务数据共享条例》第二十条",
            "scene": "试用",
            "scope": "试用",
            "modes": ["bulk"],
            "service_item": "试用",
            "valid_from": now.isoformat(),
            "valid_until": (now + TERM).isoformat(),
        },
    }


def _wait_for_signatures(call: Any, token: str, agreement: str) -> None:
    end = time.monotonic() + SIGNATURES_SECONDS_MAX
    while call(token, "GET", f"/agreements/{agreement}")["state"] != "active":
        if time.monotonic() > end:
            raise Unavailable(
                "app.trial_unsigned",
                what=Text(zh="双方节点尚未签署协议。", en="The nodes have not signed the agreement."),
                remedy=Text(zh="请确认两个节点都在运行。", en="See that both nodes are running."),
            )
        time.sleep(POLL_SECONDS)
