"""What satisfies the packages' Protocols: databases and folders as sources and targets, files, keys, jobs.

Each adapter loads the libraries of its own system only when it is asked for.
"""

from typing import TYPE_CHECKING

from datong.kernel import on_demand

if TYPE_CHECKING:
    from datong.adapters.connections import open_changes, open_connector, open_target
    from datong.adapters.durable_jobs import DurableJobs, JobInterrupted
    from datong.adapters.file_keys import load_or_create_signer
    from datong.adapters.files import FileFolder, read_table_file
    from datong.adapters.hub_link import HubLink
    from datong.adapters.mariadb import MariadbDatabase
    from datong.adapters.mariadb_binlog import MariadbChanges
    from datong.adapters.object_store import ObjectStore, ObjectStoreAccess
    from datong.adapters.polite_web import PoliteWeb
    from datong.adapters.postgresql import PostgresqlDatabase
    from datong.adapters.postgresql_capture import PostgresqlChanges
    from datong.adapters.spark_tables import SparkEngine
    from datong.adapters.sqlalchemy_database import SqlalchemyDatabase
    from datong.adapters.sqlalchemy_target import SqlalchemyTarget
    from datong.adapters.sqlite import SqliteDatabase
    from datong.adapters.web_api import WebApi
    from datong.adapters.webhook_post import WebhookPost
else:
    __getattr__ = on_demand(
        __name__,
        {
            "connections": ["open_changes", "open_connector", "open_target"],
            "durable_jobs": ["DurableJobs", "JobInterrupted"],
            "file_keys": ["load_or_create_signer"],
            "files": ["FileFolder", "read_table_file"],
            "hub_link": ["HubLink"],
            "mariadb": ["MariadbDatabase"],
            "mariadb_binlog": ["MariadbChanges"],
            "polite_web": ["PoliteWeb"],
            "object_store": ["ObjectStore", "ObjectStoreAccess"],
            "postgresql": ["PostgresqlDatabase"],
            "postgresql_capture": ["PostgresqlChanges"],
            "spark_tables": ["SparkEngine"],
            "webhook_post": ["WebhookPost"],
            "sqlalchemy_database": ["SqlalchemyDatabase"],
            "sqlalchemy_target": ["SqlalchemyTarget"],
            "sqlite": ["SqliteDatabase"],
            "web_api": ["WebApi"],
        },
    )

__all__ = [
    "DurableJobs",
    "FileFolder",
    "HubLink",
    "JobInterrupted",
    "MariadbChanges",
    "MariadbDatabase",
    "ObjectStore",
    "ObjectStoreAccess",
    "PoliteWeb",
    "PostgresqlChanges",
    "PostgresqlDatabase",
    "SparkEngine",
    "SqlalchemyDatabase",
    "SqlalchemyTarget",
    "SqliteDatabase",
    "WebApi",
    "WebhookPost",
    "load_or_create_signer",
    "open_changes",
    "open_connector",
    "open_target",
    "read_table_file",
]
