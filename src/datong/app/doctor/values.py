"""What the doctor looks at, and what it says: one contract for hubs and nodes, listed in docs/operations/doctor.md."""

from collections.abc import Iterator
from enum import StrEnum

from datong.kernel import DatongError, Text, Value


class Workspace(StrEnum):
    """Whose workspace is looked at."""

    HUB = "hub"
    NODE = "node"


class State(StrEnum):
    """What came of a check. Only `FAILED` makes the command exit with 1; `SKIPPED` waits for another one's remedy."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Check(Value):
    """One thing that is looked at."""

    name: str
    workspace: Workspace
    asks: Text


class Diagnosis(Value):
    """What a check saw, and what to do about it."""

    check: str
    state: State
    seen: Text
    remedy: Text | None = None


class Report(Value):
    """All checks of one workspace, in order."""

    workspace: Workspace
    diagnoses: tuple[Diagnosis, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing failed."""
        return all(one.state is not State.FAILED for one in self.diagnoses)


class Stop(Exception):
    """A check saw something that later ones cannot do without; `diagnosis` says what."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.check)
        self.diagnosis = diagnosis


def _checks(workspace: Workspace, *asked: tuple[str, str, str]) -> tuple[Check, ...]:
    return tuple(Check(name=name, workspace=workspace, asks=Text(zh=zh, en=en)) for name, zh, en in asked)


HUB_CHECKS = _checks(
    Workspace.HUB,
    ("settings", "设置可用，对外地址是 HTTPS", "the settings are usable, the public address is HTTPS"),
    ("home", "数据目录存在、可写、只属于本用户", "the data folder exists, is writable, and is this user's alone"),
    ("key", "枢纽私钥可读，只属于本用户", "the hub's key can be read, by its owner alone"),
    (
        "certificate",
        "对外地址的证书有效且不会很快到期",
        "the public address's certificate is valid, and for some weeks",
    ),
    (
        "lake",
        "共享目录已挂载，是本枢纽的，可写、可改名、可加锁",
        "the shared folder is mounted, is this hub's, and takes writes, renames and locks",
    ),
    ("shelf", "对象存储中有各资源库的当前版本", "the object store has the current version of each library"),
    ("disk", "数据目录和备份目录有空间", "the data folder and the folder of backups have room"),
    ("database", "控制数据库可达，版本与编码合适", "the control database answers, in a version and encoding that fit"),
    ("schema", "数据库结构是本版本的", "the database's schema is that of this version"),
    ("clock", "时钟与数据库和枢纽一致", "the clock agrees with those of database and hub"),
    ("service", "枢纽在应答", "the hub answers"),
    (
        "log",
        "存证日志由本密钥签发，文件可读，条目不积压",
        "this key signs the log, whose files are there and new",
    ),
    (
        "rotation",
        "枢纽密钥是日志现用的，未满两年，没有停在更换途中",
        "the hub's key is the log's, is not over two years old, and is not half replaced",
    ),
    ("authority", "主管部门的密钥已登记", "the authority's key is registered"),
    ("witnesses", "足够的部门在见证日志", "enough departments witness the log"),
    ("workers", "有进程在做后台工作，没有过期的租约", "somebody does the background work, no lease is stale"),
    ("nodes", "前置机最近都有消息", "every node was heard of lately"),
    ("work", "没有失败的传输任务，没有搁置的建库", "no transfer has failed, no build was left lying"),
    ("backup", "最近的备份由本密钥签名，不太旧", "the newest backup is signed by this key and not too old"),
)
NODE_CHECKS = _checks(
    Workspace.NODE,
    (
        "configuration",
        "节点目录可读，已注册，口令不外露",
        "the folder is enrolled, and shows nobody its passwords",
    ),
    (
        "key",
        "节点私钥可读，只属于本用户，未满一年",
        "the node's key can be read by its owner alone, and is not over a year old",
    ),
    ("disk", "节点目录有空间", "the node's folder has room"),
    ("state", "本地状态库完好", "the local state database is whole"),
    ("hub", "枢纽在应答", "the hub answers"),
    ("clock", "时钟与枢纽一致", "the clock agrees with the hub's"),
    ("registration", "枢纽认得这把密钥", "the hub knows the key"),
    ("sources", "每个数据源都能连接", "every source can be reached"),
    ("witness", "见证记录完好，没有发现分叉", "the witness's memory is whole, and it saw no split log"),
    ("spool", "待发送的批次没有积压", "no batch has waited long to be sent"),
)


def ok(check: str, zh: str, en: str) -> Diagnosis:
    """Return that all is well, and what was seen."""
    return Diagnosis(check=check, state=State.OK, seen=Text(zh=zh, en=en))


def told(check: str, state: State, seen: Text, remedy: Text) -> Diagnosis:
    """Return what is not well."""
    return Diagnosis(check=check, state=state, seen=seen, remedy=remedy)


def of_error(check: str, error: Exception, remedy: Text) -> Diagnosis:
    """Return that a check failed with an error; one of the platform brings its own words."""
    if isinstance(error, DatongError):
        return told(check, State.FAILED, error.what, error.remedy)
    # The first line: what follows it may repeat a statement, or an address with a password.
    said = (str(error).splitlines() or [""])[0][:300]
    seen = Text(zh=f"出错：{type(error).__name__}: {said}", en=f"It failed: {type(error).__name__}: {said}")
    return told(check, State.FAILED, seen, remedy)


def skipped(check: str, by: str) -> Diagnosis:
    """Return that a check waits for another one."""
    return Diagnosis(
        check=check,
        state=State.SKIPPED,
        seen=Text(zh=f"未检查：先处理 {by}。", en=f"Not looked at: mend {by} first."),
    )


def examined(workspace: Workspace, looks: Iterator[Diagnosis]) -> Report:
    """Return what all checks of a workspace saw, in their order; those behind a `Stop` wait for its remedy."""
    order = [check.name for check in (HUB_CHECKS if workspace is Workspace.HUB else NODE_CHECKS)]
    found: list[Diagnosis] = []
    stopped = ""
    try:
        found.extend(looks)
    except Stop as stop:
        found.append(stop.diagnosis)
        stopped = stop.diagnosis.check
    done = {one.check for one in found}
    found += [skipped(name, stopped) for name in order if name not in done]
    return Report(workspace=workspace, diagnoses=tuple(sorted(found, key=lambda one: order.index(one.check))))
