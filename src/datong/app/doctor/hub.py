"""The doctor at a hub: looks, and changes nothing, beside a hub at work or instead of one that does not start."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from datong.app.backups import BackupFolder
from datong.app.composition import compose
from datong.app.doctor.lake import look_at_lake, look_at_shelf
from datong.app.doctor.machine import (
    hub_clock,
    look_at_certificate,
    look_at_clock,
    look_at_key,
    look_at_room,
    others_may_enter,
    writable,
)
from datong.app.doctor.values import Diagnosis, Report, State, Stop, Workspace, examined, of_error, ok, told
from datong.app.hub import RESTORING
from datong.app.leases import WORKER
from datong.app.opening import open_clock
from datong.app.schema import newest_revision, revision_of
from datong.app.tables import lease
from datong.exchange import RunState
from datong.kernel import Clock, Database, DatongError, Settings, Text
from datong.ledger import Ed25519Signer, LogKeyBook, Note, key_id_of, open_checkpoint, read_pulse
from datong.web import Services

POSTGRESQL_MIN = 150_000
LOG_LAG_SECONDS_MAX = 60.0
NODE_SILENT_SECONDS_MAX = 900.0
BUILDS_WAITING_MAX = 20
NAMED_MAX = 5
KEY_DAYS_WARNED = 730
"""After so many days the hub's key is due to be replaced."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LOOK_AT_LOG = Text(zh="请查看枢纽的日志。", en="Look into the hub's log.")
_FAILURES = (DatongError, SQLAlchemyError, OSError, httpx.HTTPError, ValueError, LookupError)


def examine_hub(environment: Mapping[str, str]) -> Report:
    """Look at the hub whose settings are in `environment`; what fails is in the report."""
    return examined(Workspace.HUB, _looks(environment))


def _looks(environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    try:
        settings = Settings.from_environment(environment)
        clock = open_clock(settings)
    except DatongError as error:
        raise Stop(told("settings", State.FAILED, error.what, error.remedy)) from error
    yield _settings(settings)
    yield _home(settings)
    yield look_at_certificate(settings.base_url)
    folders = [settings.home, settings.lake, *([settings.backup_folder] if settings.backup_folder else [])]
    yield look_at_room(folders, settings.disk_reserve_mb)
    told_of_key, signer = look_at_key(settings.home / "keys" / "hub.key")
    yield told_of_key
    yield _backup(settings, signer, clock)
    yield _service(settings)
    database = Database(settings.effective_database_url)
    try:
        yield from _in_database(settings, database, clock, signer)
    finally:
        database.close()


def _in_database(settings: Settings, database: Database, clock: Clock, signer: Ed25519Signer) -> Iterator[Diagnosis]:
    try:
        if database.is_sqlite and not Path(database.engine.url.database or "").is_file():
            raise Stop(_no_database(database))
        with database.snapshot() as connection:
            yield _database(database, connection)
            yield _schema(connection)
            clocks = _clocks(database, connection, settings)
    except SQLAlchemyError as error:
        remedy = Text(
            zh="请确认数据库在运行，且 DATONG_DATABASE_URL 正确。",
            en="See that the database runs, and that DATONG_DATABASE_URL is right.",
        )
        raise Stop(of_error("database", error, remedy)) from error
    services = compose(settings, clock=clock, signer=signer, database=database)
    for check, look in _with_services(services, clocks):
        try:
            yield look()
        except _FAILURES as error:
            yield of_error(check, error, _LOOK_AT_LOG)


def _with_services(services: Services, clocks: dict[str, float]) -> list[tuple[str, Callable[[], Diagnosis]]]:
    return [
        ("clock", lambda: look_at_clock(clocks, simulated=services.clock.simulated)),
        ("lake", lambda: look_at_lake(services)),
        ("shelf", lambda: look_at_shelf(services)),
        ("log", lambda: _log(services)),
        ("rotation", lambda: _rotation(services)),
        ("authority", lambda: _authority(services)),
        ("witnesses", lambda: _witnesses(services)),
        ("workers", lambda: _workers(services)),
        ("nodes", lambda: _nodes(services)),
        ("work", lambda: _work(services)),
    ]


def _settings(settings: Settings) -> Diagnosis:
    host = urlsplit(settings.base_url).hostname or ""
    seen = Text(zh=f"对外地址 {settings.base_url}", en=f"public address {settings.base_url}")
    if host not in LOOPBACK and not settings.base_url.startswith("https://"):
        remedy = Text(
            zh="请在反向代理上启用 TLS，并把 DATONG_PUBLIC_URL 设为 https:// 地址。",
            en="End TLS in a proxy, and set DATONG_PUBLIC_URL to the https:// address.",
        )
        return told("settings", State.WARNING, seen, remedy)
    return ok("settings", seen.zh, seen.en)


def _home(settings: Settings) -> Diagnosis:
    home = settings.home.absolute()
    if not home.is_dir():
        seen = Text(zh=f"没有目录 {home}。", en=f"There is no folder {home}.")
        remedy = Text(
            zh="请修改 DATONG_HOME，或运行 datong hub init。", en="Correct DATONG_HOME, or run datong hub init."
        )
        raise Stop(told("home", State.FAILED, seen, remedy))
    if (home / RESTORING).exists():
        seen = Text(zh=f"{home} 的恢复没有完成。", en=f"The restore of {home} did not come to its end.")
        remedy = Text(
            zh="请清空数据库，再运行一次 datong hub restore。",
            en="Empty the database and run datong hub restore once more.",
        )
        raise Stop(told("home", State.FAILED, seen, remedy))
    if not writable(home):
        seen = Text(zh=f"当前用户不能写 {home}。", en=f"This user may not write to {home}.")
        remedy = Text(zh="请以枢纽的用户运行，或修改属主。", en="Run as the hub's user, or change the owner.")
        return told("home", State.FAILED, seen, remedy)
    if others_may_enter(home):
        seen = Text(zh=f"其他用户可以进入 {home}。", en=f"Other users may enter {home}.")
        return told("home", State.WARNING, seen, Text(zh=f"请执行 chmod 700 {home}。", en=f"Run chmod 700 {home}."))
    return ok("home", str(home), str(home))


def _backup(settings: Settings, signer: Ed25519Signer, clock: Clock) -> Diagnosis:
    remedy = Text(
        zh="请定时运行 datong hub backup，并设置 DATONG_BACKUP_FOLDER。",
        en="Run datong hub backup by a timer, and set DATONG_BACKUP_FOLDER.",
    )
    if settings.backup_folder is None:
        seen = Text(zh="没有设置备份目录。", en="No folder of backups is set.")
        return told("backup", State.WARNING, seen, remedy)
    folder = BackupFolder(settings.backup_folder)
    try:
        names = folder.names()
        if not names:
            seen = Text(zh=f"{folder.root} 中没有备份。", en=f"{folder.root} has no backup.")
            return told("backup", State.FAILED, seen, remedy)
        newest = folder.manifest(names[-1], signer.public_key)
    except (DatongError, OSError) as error:
        return of_error("backup", error, remedy)
    age = clock.now() - newest.taken_at
    hours = age / timedelta(hours=1)
    seen = Text(
        zh=f"共 {len(names)} 份，最新一份在 {hours:.1f} 小时前，存证 {newest.size} 条",
        en=f"{len(names)} backups, the newest {hours:.1f} hours ago, of {newest.size} entries",
    )
    if hours > settings.backup_hours_max:
        return told("backup", State.FAILED, seen, remedy)
    return ok("backup", seen.zh, seen.en)


def _service(settings: Settings) -> Diagnosis:
    address = f"http://{settings.host}:{settings.port}"
    try:
        now = hub_clock(address)
    except (httpx.HTTPError, OSError, ValueError) as error:
        seen = Text(
            zh=f"{address} 没有应答（{type(error).__name__}）。",
            en=f"{address} does not answer ({type(error).__name__}).",
        )
        remedy = Text(
            zh="若枢纽应在运行：请启动 datong hub serve，并查看其日志。",
            en="If a hub should run: start datong hub serve, and look into its log.",
        )
        return told("service", State.WARNING, seen, remedy)
    return ok("service", f"{address} 应答，{now.isoformat()}", f"{address} answers, {now.isoformat()}")


def _no_database(database: Database) -> Diagnosis:
    path = database.engine.url.database
    return told(
        "database",
        State.FAILED,
        Text(zh=f"没有数据库文件 {path}。", en=f"There is no database file {path}."),
        Text(zh="请运行 datong hub init，或恢复备份。", en="Run datong hub init, or restore a backup."),
    )


def _database(database: Database, connection: Connection) -> Diagnosis:
    if database.is_sqlite:
        version = connection.scalar(text("SELECT sqlite_version()"))
        return ok("database", f"SQLite {version}", f"SQLite {version}")
    number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    encoding = connection.scalar(text("SHOW server_encoding"))
    seen = Text(
        zh=f"PostgreSQL {number / 10_000:.4g}，编码 {encoding}", en=f"PostgreSQL {number / 10_000:.4g}, {encoding}"
    )
    if number < POSTGRESQL_MIN or encoding != "UTF8":
        remedy = Text(
            zh="需要 PostgreSQL 15 或更新版本，数据库编码为 UTF8。",
            en="PostgreSQL 15 or later is needed, and a database in the encoding UTF8.",
        )
        return told("database", State.FAILED, seen, remedy)
    return ok("database", seen.zh, seen.en)


def _schema(connection: Connection) -> Diagnosis:
    found, newest = revision_of(connection), newest_revision()
    seen = Text(zh=f"结构 {found}，本版本为 {newest}", en=f"schema {found}, this version's is {newest}")
    if found == newest:
        return ok("schema", seen.zh, seen.en)
    newer = found is not None and found > newest
    remedy = (
        Text(zh="数据库属于更新的版本：请升级软件。", en="The database is a newer version's: upgrade the software.")
        if newer
        else Text(
            zh="请备份，再启动枢纽：它会升级结构。", en="Take a backup, then start the hub: it upgrades the schema."
        )
    )
    raise Stop(told("schema", State.FAILED, seen, remedy))


def _clocks(database: Database, connection: Connection, settings: Settings) -> dict[str, float]:
    """Return how many seconds this machine's clock is ahead of the database's and of the hub that serves."""
    found: dict[str, float] = {}
    if not database.is_sqlite:
        theirs = connection.scalar(text("SELECT clock_timestamp()"))
        if isinstance(theirs, datetime):
            found["database"] = (datetime.now(UTC) - theirs).total_seconds()
    try:
        theirs = hub_clock(f"http://{settings.host}:{settings.port}")
        found["hub"] = (open_clock(settings).now() - theirs).total_seconds()
    except (httpx.HTTPError, OSError, ValueError):
        # That no hub answers is told by the check `service`.
        return found
    return found


def _log(services: Services) -> Diagnosis:
    pulse = read_pulse(services.database)
    remedy = Text(
        zh="请确认后台工作在运行（datong hub work），并运行 datong hub fsck。",
        en="See that background work runs (datong hub work), and run datong hub fsck.",
    )
    if pulse.published_at is None:
        seen = Text(zh="日志还没有发布过检查点。", en="The log has not published a checkpoint yet.")
        return told("log", State.FAILED, seen, remedy)
    ledger = services.ledger
    open_checkpoint(Note.parse(ledger.checkpoint()), public_key=ledger.public_key, origin=ledger.origin)
    tiles = [read for name, read in ledger.export_files() if name.startswith("tile/")]
    if tiles:
        # The newest entries: what is published last is written last.
        tiles[-1]()
    waiting = 0.0 if pulse.waiting_since is None else (services.clock.now() - pulse.waiting_since).total_seconds()
    seen = Text(
        zh=f"已发布 {pulse.size} 条；最早的待入日志条目已等 {max(waiting, 0):.0f} 秒",
        en=f"{pulse.size} entries are published; the oldest that waits has waited for {max(waiting, 0):.0f} s",
    )
    if waiting > LOG_LAG_SECONDS_MAX:
        return told("log", State.FAILED, seen, remedy)
    return ok("log", seen.zh, seen.en)


def _rotation(services: Services) -> Diagnosis:
    book = LogKeyBook(database=services.database, clock=services.clock, ledger=services.ledger)
    keys, signed, begun = book.keys(), book.signed_newest(), book.begun_at()
    days = 0 if begun is None else (services.clock.now() - begun).days
    seen = Text(
        zh=f"{key_id_of(services.hub_key)}，已用 {days} 天", en=f"{key_id_of(services.hub_key)}, {days} days old"
    )
    if services.hub_key not in book.in_use():
        remedy = Text(zh="请恢复现用的 hub.key。", en="Restore the hub.key that is the log's now.")
        return told("rotation", State.FAILED, seen, remedy)
    if services.hub_key != keys.newest or len(book.in_use()) > 1 or signed not in (None, keys.newest):
        what = Text(zh=f"{seen.zh}，更换尚未完成", en=f"{seen.en}, being replaced")
        remedy = Text(
            zh="请重启枢纽的进程，看 datong hub key，再运行 datong hub retire-key。",
            en="Start the hub's processes anew, look at datong hub key, then run datong hub retire-key.",
        )
        return told("rotation", State.WARNING, what, remedy)
    if days > KEY_DAYS_WARNED:
        remedy = Text(zh="请用 datong hub rotate-key 更换。", en="Replace it by datong hub rotate-key.")
        return told("rotation", State.WARNING, seen, remedy)
    return ok("rotation", seen.zh, seen.en)


def _authority(services: Services) -> Diagnosis:
    bureaus = [one.code for one in services.departments.all() if one.is_authority]
    if not bureaus:
        seen = Text(zh="还没有登记主管部门。", en="No authority is registered yet.")
        remedy = Text(zh="请在控制台登记主管部门。", en="Register the authority in the console.")
        return told("authority", State.WARNING, seen, remedy)
    held = {key.public_key for code in bureaus for key in services.departments.keys(code) if key.revoked_at is None}
    if services.hub_key not in held:
        seen = Text(zh="枢纽的密钥没有登记为主管部门的。", en="The hub's key is not registered as the authority's.")
        remedy = Text(
            zh="后台工作会登记它；若已被吊销，请更换枢纽密钥。",
            en="Background work registers it; if it was revoked, the hub needs another key.",
        )
        return told("authority", State.WARNING, seen, remedy)
    return ok("authority", f"{'、'.join(bureaus)}", f"{', '.join(bureaus)}")


def _witnesses(services: Services) -> Diagnosis:
    state = services.quorum.state()
    missing = ", ".join(one.name for one in state.missing[:NAMED_MAX])
    seen = Text(
        zh=f"需要 {state.required} 个部门，现有 {state.reached} 个" + (f"；缺席：{missing}" if missing else ""),
        en=f"{state.required} departments are needed, {state.reached} follow"
        + (f"; missing: {missing}" if missing else ""),
    )
    remedy = Text(
        zh="请在这些前置机上运行 datong doctor --node：拒绝见证的会说明原因。",
        en="Run datong doctor --node at these nodes: one that refuses to witness says why.",
    )
    if not state.holds:
        return told("witnesses", State.FAILED, seen, remedy)
    if missing:
        return told("witnesses", State.WARNING, seen, remedy)
    return ok("witnesses", seen.zh, seen.en)


def _workers(services: Services) -> Diagnosis:
    if services.database.is_sqlite:
        return ok("workers", "嵌入式数据库：后台工作由枢纽进程承担", "on an embedded database the hub's process works")
    with services.database.snapshot() as connection:
        rows = connection.execute(select(lease.c.name, lease.c.until < func.now())).all()
    workers = [name.removeprefix(WORKER) for name, over in rows if name.startswith(WORKER) and not over]
    # Whoever lives takes what nobody holds within seconds.
    stale = sorted(name for name, over in rows if not name.startswith(WORKER) and over)
    names = ", ".join(stale[:NAMED_MAX])
    seen = Text(
        zh=f"{len(workers)} 个进程在做后台工作，{len(stale)} 项工作无人承担" + (f"：{names}" if names else ""),
        en=f"{len(workers)} processes work, {len(stale)} jobs are nobody's" + (f": {names}" if names else ""),
    )
    if not workers or stale:
        remedy = Text(
            zh="请启动 datong hub work，或让 DATONG_WORK_INSIDE_SERVE 为 true。",
            en="Start datong hub work, or let DATONG_WORK_INSIDE_SERVE be true.",
        )
        return told("workers", State.WARNING if workers else State.FAILED, seen, remedy)
    return ok("workers", seen.zh, seen.en)


def _nodes(services: Services) -> Diagnosis:
    now, nodes = services.clock.now(), services.identity.nodes()
    silent = [
        node.name
        for node in nodes
        if (now - (node.last_seen_at or node.enrolled_at)).total_seconds() > NODE_SILENT_SECONDS_MAX
    ]
    names = ", ".join(silent[:NAMED_MAX])
    seen = Text(
        zh=f"{len(nodes)} 个前置机，{len(silent)} 个没有消息", en=f"{len(nodes)} nodes, {len(silent)} are silent"
    )
    if silent:
        seen = Text(zh=f"{seen.zh}：{names}", en=f"{seen.en}: {names}")
        remedy = Text(zh="请在该机器上启动 datong node run。", en="Start datong node run on that machine.")
        return told("nodes", State.WARNING, seen, remedy)
    return ok("nodes", seen.zh, seen.en)


def _work(services: Services) -> Diagnosis:
    failed = [
        one.task.name
        for one in services.exchange.observation.everything()
        if one.run is not None and one.run.state is RunState.FAILED
    ]
    builds = len(services.library.pending_builds())
    seen = Text(
        zh=f"{len(failed)} 个传输任务失败，{builds} 次建库在等待",
        en=f"{len(failed)} transfers failed, {builds} builds wait",
    )
    if failed or builds > BUILDS_WAITING_MAX:
        names = ", ".join(failed[:NAMED_MAX])
        seen = Text(zh=f"{seen.zh}：{names}", en=f"{seen.en}: {names}") if names else seen
        remedy = Text(
            zh="请看任务页上的原因和处置办法；建库积压时确认 datong hub work 在运行。",
            en="The task's page says why and what to do; where builds pile up, see that datong hub work runs.",
        )
        return told("work", State.WARNING, seen, remedy)
    return ok("work", seen.zh, seen.en)
