"""A node's own folder: who it is, its key, its sources. Nothing of it ever leaves the department.

`node.toml` names the hub and the sources with their URLs (which hold passwords, so only its owner may read it),
`key.pem` is the signing key, `state.sqlite` the spool's index, `spool/` batches on their way, `witness.json` the log's
last state.
"""

import base64
import json
import stat
import tomllib
from pathlib import Path

from datong.kernel import Conflict, DepartmentCode, Misconfigured, NodeId, NotFound, Text, Value
from datong.ledger import LogKeys
from datong.node.owned_files import write_owned


class SourceEntry(Value):
    """One source; a writable one may receive other departments' data."""

    name: str
    url: str
    writable: bool = False


class NodeIdentity(Value):
    """What the hub told the node when it enrolled; keys are base64."""

    hub_url: str
    node_id: NodeId
    name: str
    department: DepartmentCode
    log_origin: str
    log_key: str
    hub_public_key: str
    log_successions: tuple[str, ...] = ()

    @property
    def log_key_bytes(self) -> bytes:
        """The raw public key that signs the log's checkpoints."""
        return base64.b64decode(self.log_key)

    @property
    def log_keys(self) -> LogKeys:
        """The keys of the log that this node knows.

        Raises:
            Corrupt: what it remembers of them is no chain.
        """
        return LogKeys.of(self.log_origin, self.log_key_bytes, self.log_successions)


class NodeConfig(Value):
    """The content of `node.toml`."""

    identity: NodeIdentity | None = None
    sources: tuple[SourceEntry, ...] = ()


class NodeHome:
    """The folder of one node."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def key_path(self) -> Path:
        """Where the signing key lies."""
        return self.directory / "key.pem"

    @property
    def state_path(self) -> Path:
        """Where the spool's index lies."""
        return self.directory / "state.sqlite"

    @property
    def spool(self) -> Path:
        """The folder of batches on their way."""
        return self.directory / "spool"

    @property
    def witness_path(self) -> Path:
        """Where the witness keeps the last state of the log that it saw."""
        return self.directory / "witness.json"

    def config(self) -> NodeConfig:
        """Return the configuration; an empty one when there is none yet.

        Raises:
            Misconfigured: `node.config_unreadable`.
        """
        path = self.directory / "node.toml"
        try:
            return NodeConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return NodeConfig()
        except ValueError as error:
            raise Misconfigured(
                "node.config_unreadable",
                what=Text(zh=f"节点配置 {path} 无法读取。", en=f"The node's configuration {path} cannot be read."),
                remedy=Text(zh="请修正或从备份恢复该文件。", en="Correct the file, or restore it from a backup."),
            ) from error

    def identity(self) -> NodeIdentity:
        """Return who this node is.

        Raises:
            Misconfigured: `node.not_enrolled`.
        """
        identity = self.config().identity
        if identity is None:
            raise Misconfigured(
                "node.not_enrolled",
                what=Text(zh="该节点尚未注册到平台。", en="This node is not enrolled with a hub."),
                remedy=Text(zh="请先执行 datong node enrol。", en="Run datong node enrol first."),
            )
        return identity

    def save_identity(self, identity: NodeIdentity) -> None:
        """Remember who this node is.

        Raises:
            Conflict: `node.already_enrolled` with another hub or as another node.
        """
        config = self.config()
        if config.identity is not None and config.identity.node_id != identity.node_id:
            raise Conflict(
                "node.already_enrolled",
                what=Text(zh="该目录已属于另一个节点。", en="This folder belongs to another node already."),
                remedy=Text(zh="请为新节点使用新的目录。", en="Use a new folder for a new node."),
            )
        self._save(config.model_copy(update={"identity": identity}))

    def keep_log_keys(self, keys: LogKeys) -> None:
        """Remember the log's keys, the newest of which is the hub's."""
        newest = base64.b64encode(keys.newest).decode()
        told = tuple(one.text() for one in keys.successions)
        new = {"log_key": newest, "hub_public_key": newest, "log_successions": told}
        self.save_identity(self.identity().model_copy(update=new))

    def add_source(self, source: SourceEntry) -> None:
        """Add a source, or replace the one of that name."""
        config = self.config()
        others = tuple(entry for entry in config.sources if entry.name != source.name)
        self._save(config.model_copy(update={"sources": (*others, source)}))

    def remove_source(self, name: str) -> None:
        """Forget a source.

        Raises:
            NotFound: `node.source_not_found`.
        """
        gone = self.source(name)
        config = self.config()
        self._save(config.model_copy(update={"sources": tuple(one for one in config.sources if one != gone)}))

    def require_private(self) -> None:
        """Check that nobody but the owner can read the sources' credentials.

        Raises:
            Misconfigured: `node.config_exposed`.
        """
        path = self.directory / "node.toml"
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Misconfigured(
                "node.config_exposed",
                what=Text(
                    zh=f"节点配置 {path} 含有数据源口令，其他用户却可以读取。",
                    en=f"The node's configuration {path} holds the sources' passwords, and other users can read it.",
                ),
                remedy=Text(zh=f"请执行 chmod 600 {path}。", en=f"Run chmod 600 {path}."),
            )

    def source(self, name: str) -> SourceEntry:
        """Return the source called `name`.

        Raises:
            NotFound: `node.source_not_found`.
        """
        found = next((entry for entry in self.config().sources if entry.name == name), None)
        if found is None:
            raise NotFound(
                "node.source_not_found",
                what=Text(zh=f"节点没有数据源 {name}。", en=f"The node has no source {name}."),
                remedy=Text(zh="请执行 datong node source add。", en="Add it by datong node source add."),
            )
        return found

    def writable_source(self, name: str) -> SourceEntry:
        """Return the writable source called `name`, or the only writable one when `name` is empty.

        Raises:
            NotFound: `node.no_writable_source`.
        """
        candidates = [entry for entry in self.config().sources if entry.writable and name in {"", entry.name}]
        if len(candidates) != 1:
            raise NotFound(
                "node.no_writable_source",
                what=Text(
                    zh="无法确定接收数据的可写数据源。", en="It is not clear which writable source shall receive data."
                ),
                remedy=Text(
                    zh="请用 source add --writable 添加一个可写数据源，或在任务中指明。",
                    en="Add one by source add --writable, or name it in the task.",
                ),
            )
        return candidates[0]

    def _save(self, config: NodeConfig) -> None:
        lines: list[str] = []
        if config.identity is not None:
            lines += ["[identity]", *_fields(config.identity.model_dump(mode="json")), ""]
        for source in config.sources:
            lines += ["[[sources]]", *_fields(source.model_dump(mode="json")), ""]
        write_owned(self.directory / "node.toml", "\n".join(lines).encode())


def _fields(values: dict[str, object]) -> list[str]:
    """Return TOML assignments; a JSON string of these values is a TOML basic string, too."""
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
