"""Every knob of a hub, in one frozen table: default, unit, help. Nothing else reads the environment.

The environment variable of a setting is `DATONG_` plus its name in capitals. `docs/settings.md` lists them all, and a
test fails when it does not.
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator

from datong.kernel.errors import Misconfigured
from datong.kernel.texts import Language, Text
from datong.kernel.values import Value

PREFIX = "DATONG_"


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the platform's settings, for a program that is given its own."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


class Settings(Value):
    """The settings of one hub process."""

    home: Path = Field(Path("var/hub"), description="Folder for keys, the lake and the embedded database.")
    database_url: str = Field(
        "", description="SQLAlchemy URL of the control database; empty: SQLite at <home>/control.sqlite."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8420, ge=0, le=65535, description="TCP port to listen on; 0 picks a free one.")
    public_url: str = Field("", description="Address under which others reach the hub; empty: http://<host>:<port>.")
    secure_cookies: bool | None = Field(
        None,
        description="Send the session cookie over HTTPS only, and tell browsers to come by HTTPS for a year; unset: "
        "when the public address begins with https://.",
    )
    language: Language = Field(Language.ZH, description="Language for people who have not chosen one (zh, en).")
    log_origin: str = Field("datong.local/log", description="Origin line of the transparency log's checkpoints.")
    log_shards: Path | None = Field(
        None, description="Folder of the log's archived months, perhaps on a slower disk; unset: <home>/shards."
    )
    object_store: str = Field(
        "",
        pattern=r"^(s3://[^/\s]+(/\S*)?)?$",
        description="S3-compatible bucket that holds the log's files, such as s3://datong/hub (needs the extra `s3`); "
        "empty: <home>/log. It must know conditional creation (If-None-Match). See also `library_place`.",
    )
    object_store_endpoint: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Address of the object store; empty: that of Amazon's region."
    )
    object_store_region: str = Field("us-east-1", min_length=1, description="Region of the object store.")
    object_store_key_id: str = Field("", description="Access key id for the object store.")
    object_store_secret: str = Field("", description="Secret of that access key.")
    library_place: Literal["folder", "shelf", "cache"] = Field(
        "folder",
        description="Where published versions of libraries lie: `folder`, in <home>/lake; `shelf`, in the bucket of "
        "`object_store`, too, for other machines; `cache`, this machine takes them from there and builds nothing.",
    )
    clock_offset_file: Path | None = Field(
        None, description="Run on simulated time: a file holding seconds to add to the machine's clock."
    )
    norms_pack: tuple[Path, ...] = Field(
        (),
        description="Local norm packs that extend the national one, in order (province, then city), separated by a "
        "comma: YAML files, or folders of such files.",
    )
    holidays_file: Path | None = Field(
        None, description="YAML of dates that override the statutory working-day calendar (date: true or false)."
    )
    worker_name: str = Field(
        "",
        max_length=40,
        description="Name of this process's background work: what it left unfinished is resumed at once by a process "
        "of that name, else by another within seconds. Of two processes with one name only one works. Empty: a name "
        "of its own for each process on PostgreSQL, `hub` on SQLite.",
    )
    work_inside_serve: bool = Field(True, description="Run background work inside `hub serve`.")
    drain_seconds: float = Field(
        0.0,
        ge=0,
        le=300,
        description="Seconds for which `hub serve` still answers after SIGTERM, while `/readyz` says 503: as long as "
        "the balancer in front takes to notice. What is on its way is answered in any case.",
    )
    sequence_interval_seconds: float = Field(0.2, gt=0, description="Seconds between two integrations of the log.")
    witnesses: tuple[str, ...] = Field(
        (),
        description="Ids of the nodes whose witness of the log counts, separated by a comma; empty: all nodes.",
    )
    witness_quorum: int = Field(
        0,
        ge=0,
        le=1000,
        description="Departments whose nodes must have witnessed the published log, or the hub does not look healthy; "
        "0: a majority of the departments that have such a node.",
    )
    witness_patience_seconds: int = Field(
        60,
        ge=5,
        le=31_622_400,
        description="Seconds a witness may be behind the published log before it counts as missing.",
    )
    monitor_interval_seconds: float = Field(30.0, gt=0, description="Seconds between two runs of the duty monitor.")
    benefit_hours_per_trip: float = Field(
        2.0, ge=0, le=48, description="Hours that a spared trip is worth in the count of benefit."
    )
    benefit_hours_per_document: float = Field(
        0.5, ge=0, le=48, description="Hours that a document not asked for is worth: to get it, copy it and check it."
    )
    benefit_yuan_per_hour: float = Field(40.0, ge=0, le=10_000, description="Yuan that a spared hour is worth.")
    benefit_yuan_per_sheet: float = Field(0.5, ge=0, le=1_000, description="Yuan that a sheet not copied is worth.")
    cascade_interval_seconds: float = Field(
        30.0, gt=0, description="Seconds between two exchanges with higher hubs that this hub has joined."
    )
    session_hours: int = Field(12, ge=1, le=168, description="Hours a person's session lasts.")
    oidc_providers: Path | None = Field(
        None,
        description="YAML file that declares the identity providers by which people may sign in, with their secrets "
        "(chmod 600; docs/operations/sign-in.md); unset: by password only.",
    )
    oidc_private: bool = Field(
        False,
        description="Let identity providers be at addresses of private networks (within the government's own, below), "
        "or of this machine.",
    )
    passkeys: Literal["off", "second", "alone"] = Field(
        "alone",
        description="Passkeys (WebAuthn): alone, in place of a password; second, only after another way of signing in; "
        "off. They are bound to the host of the public address, which must be a name, and need https.",
    )
    token_seconds: int = Field(600, ge=60, le=3600, description="Seconds a machine's access token lasts.")
    application_calls_per_minute: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Calls of the gateway that one application may make in a minute, whatever its agreements allow; "
        "0: any number.",
    )
    application_calls_per_day: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        description="Calls of the gateway that one application may make in a day (China's); 0: any number.",
    )
    webhooks_private: bool = Field(
        False,
        description="Let webhooks go to addresses of private networks, and without TLS: for hubs whose subscribers are "
        "in the same closed network.",
    )
    intranets: tuple[IPv4Network | IPv6Network, ...] = Field(
        (),
        description="Networks of the government's own, as 10.20.0.0/16, separated by commas: where the hub may connect "
        "to private addresses at all (webhooks and identity providers with their settings, sources that are allowed "
        "to, higher hubs), it "
        "keeps to these; empty: any.",
    )
    smtp_host: str = Field("", description="Server to which e-mail is handed; empty: no e-mail is sent.")
    smtp_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="TCP port of the e-mail server; 0: 465 with tls, 587 with starttls, 25 with none.",
    )
    smtp_security: Literal["tls", "starttls", "none"] = Field(
        "starttls",
        description="How the connection to the e-mail server is secured: tls from the first byte, starttls (without it "
        "nothing is sent), or none, for a relay on the same machine.",
    )
    smtp_username: str = Field("", description="Account at the e-mail server; empty: it needs none.")
    smtp_password: str = Field("", description="Password of that account.")
    smtp_sender: str = Field(
        "",
        pattern=r"^([^@\s<>]+@[^@\s<>]+)?$",
        description="Address in whose name e-mail is sent; needed with a server.",
    )
    smtp_timeout_seconds: float = Field(20.0, gt=0, le=50, description="Seconds within which the server must answer.")
    notice_messages_per_hour: int = Field(
        4, ge=1, le=60, description="E-mails, and webhooks, of notices that one person gets in an hour at most."
    )
    notice_messages_per_day: int = Field(
        20, ge=1, le=500, description="E-mails, and webhooks, of notices that one person gets in 24 hours at most."
    )
    logins_at_once_max: int = Field(4, ge=1, description="Password checks at once (each takes 46 MiB).")
    disk_reserve_mb: int = Field(
        1024, ge=0, description="MiB of the lake's disk kept free: uploads are turned away (507) before they take it."
    )
    payload_retention_days: int = Field(
        30, ge=0, description="Days a batch between nodes stays at the hub after its last receipt."
    )
    library_rest_seconds: int = Field(
        300,
        ge=0,
        description="Seconds without a landing after which a published library is built anew from what landed; 0: "
        "only when somebody asks.",
    )
    library_retention_days: int = Field(
        1095, ge=0, le=36_500, description="Days a superseded version of a library is kept, unless declared for it."
    )
    correction_retention_days: int = Field(
        1095, ge=0, le=36_500, description="Days the values of a settled report of a wrong cell are kept."
    )
    backup_folder: Path | None = Field(
        None, description="Folder of the hub's backups, best on another machine's disk; unset: named by each command."
    )
    backup_hours_max: int = Field(
        26, ge=1, le=8784, description="Hours after which the newest backup counts as too old."
    )
    file_quota_gb: int = Field(
        100, ge=1, description="GiB of files in exchange that one sending department may have at the hub."
    )
    file_retention_days: int = Field(
        30, ge=0, description="Days a file stays at the hub after its recipient has acknowledged it."
    )
    file_expiry_days: int = Field(
        90, ge=1, description="Days a file waits to be fetched, or to be uploaded whole, before it is deleted."
    )
    share_url_seconds: int = Field(
        900, ge=30, le=900, description="Seconds an address of a file of Delta Sharing is valid."
    )
    share_cache_hours: int = Field(
        72, ge=1, description="Hours the prepared files of a shared table stay after somebody last asked for them."
    )
    openlineage_url: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="OpenLineage endpoint to which lineage events are posted, such as "
        "https://marquez.example/api/v1/lineage; empty: they are kept at the hub only.",
    )
    openlineage_token: str = Field("", description="Bearer token for the OpenLineage endpoint.")
    metrics_token: str = Field(
        "", description="Bearer token with which a scraper may read /metrics; empty: only staff who signed in may."
    )
    log_format: Literal["text", "json"] = Field(
        "text",
        description="How the program's own log is written: text for people, or json, an object a line, with trace ids.",
    )
    log_file: Path | None = Field(
        None, description="File for the program's own log, one per process; unset: standard error."
    )
    log_file_mb_max: int = Field(100, ge=1, le=10_000, description="MiB after which that file is set aside.")
    log_files_kept: int = Field(10, ge=1, le=1000, description="Files set aside that are kept.")
    worker_metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="TCP port at which `hub work` publishes its metrics on the address to listen on, to anybody who "
        "reaches it; 0: nowhere.",
    )
    builds_at_once: int = Field(
        2, ge=1, description="Builds of different libraries that one process runs at the same time."
    )
    worker_threads: int = Field(40, ge=4, description="Threads that serve requests in one process.")
    table_engine: Literal["duckdb", "spark"] = Field(
        "duckdb",
        description="What conforms, links and fuses the records of libraries: duckdb, inside this process, or spark "
        "(needs the extra `spark` and Java 17), for what does not fit one machine. Both give the same tables.",
    )
    spark_master: str = Field(
        "local[2]",
        min_length=1,
        description="Spark's master URL, with table engine spark: local[2] for two cores of this machine, "
        "spark://host:7077, yarn, k8s://…",
    )
    spark_memory: str = Field(
        "2g", pattern=r"^[0-9]+[kmgt]$", description="Heap of Spark's driver, which this process starts; such as 4g."
    )
    spark_options: tuple[str, ...] = Field(
        (),
        description="Further Spark settings as name=value, separated by semicolons, such as "
        "spark.executor.memory=8g;spark.sql.shuffle.partitions=200.",
    )

    @field_validator("norms_pack", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        """The environment holds several paths in one text."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("witnesses", "intranets", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        """The environment holds several names in one text."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("spark_options", mode="before")
    @classmethod
    def _split_options(cls, value: object) -> object:
        """The environment holds several options in one text."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(";") if part.strip())
        return value

    @field_validator("spark_options")
    @classmethod
    def _name_options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """An option is a name of Spark's and a value."""
        for option in value:
            name, sign, _ = option.partition("=")
            if not sign or not name.startswith("spark."):
                raise ValueError(f"{option!r} is not spark.…=value")
        return value

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from `environment`.

        Raises:
            Misconfigured: a variable has a value that its setting does not admit, or no setting has that name.
        """
        values = {
            name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else PREFIX
            raise Misconfigured(
                "kernel.setting_invalid",
                what=Text(
                    zh=f"环境变量 {name} 的值不可用：{first['msg']}。",
                    en=f"The environment variable {name} is not usable: {first['msg']}.",
                ),
                remedy=Text(zh="请按 docs/settings.md 修改。", en="Correct it by docs/settings.md."),
                field=name,
            ) from error

    @property
    def effective_database_url(self) -> str:
        """The control database's URL, with the embedded default filled in."""
        return self.database_url or f"sqlite:///{(self.home / 'control.sqlite').absolute()}"

    @property
    def effective_log_shards(self) -> Path:
        """Folder of the log's archived months, with the default filled in."""
        return self.log_shards or self.home / "shards"

    @property
    def lake(self) -> Path:
        """Folder of landed batches and published tables."""
        return self.home / "lake"

    @property
    def only_https(self) -> bool:
        """Whether browsers are to use HTTPS only, with the default filled in."""
        return self.base_url.startswith("https://") if self.secure_cookies is None else self.secure_cookies

    @property
    def base_url(self) -> str:
        """The hub's public address, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")
