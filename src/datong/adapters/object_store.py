"""Immutable files in an S3-compatible object store, of the log and of libraries: for hubs on several machines.

An object is complete or absent, and is created once: `If-None-Match: *` lets the store refuse what another process
wrote meanwhile, as a link does on a disk. Stores that do not know that header are no use here.
The client (`obstore`, the Rust crate `object_store`) is the extra `s3`, loaded when a store is opened.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType

from datong.kernel import Misconfigured, Text, Unavailable, Value
from datong.ledger import File, no_file, rewritten

SCHEME = "s3://"
REQUEST_SECONDS_MAX = 20
RETRIES_MAX = 5
RETRY_SECONDS_MAX = 15
PART_BYTES = 16 * 1024 * 1024
PARTS_AT_ONCE = 4


class ObjectStoreAccess(Value):
    """Where a bucket is, and as whom it is used; `address` is `s3://bucket/prefix`."""

    address: str
    endpoint: str
    region: str
    key_id: str
    secret: str


class ObjectStore:
    """A `TileStore` and `library.FileStore` on a bucket, which any number of processes may share."""

    def __init__(self, access: ObjectStoreAccess, folder: str) -> None:
        """Open the store; `folder` comes before each path. Nothing is asked of the server yet.

        Raises:
            Misconfigured: the address is none, or the extra `s3` is not installed.
        """
        self._obstore = _client()
        bucket, _, prefix = access.address.removeprefix(SCHEME).partition("/")
        if not access.address.startswith(SCHEME) or not bucket:
            raise Misconfigured(
                "adapters.object_store_address",
                what=Text(zh="对象存储地址不可用。", en="The address of the object store is not usable."),
                remedy=Text(zh="请写成 s3://桶名/前缀。", en="Write it as s3://bucket/prefix."),
                field="DATONG_OBJECT_STORE",
            )
        plain = access.endpoint.startswith("http://")
        options: dict[str, str] = {"endpoint": access.endpoint} if access.endpoint else {}
        self._store = import_module("obstore.store").S3Store(
            bucket,
            prefix="/".join(part for part in (prefix.strip("/"), folder) if part),
            region=access.region,
            access_key_id=access.key_id,
            secret_access_key=access.secret,
            virtual_hosted_style_request=False,
            client_options={"allow_http": plain, "timeout": f"{REQUEST_SECONDS_MAX}s"},
            retry_config={"max_retries": RETRIES_MAX, "retry_timeout": timedelta(seconds=RETRY_SECONDS_MAX)},
            **options,
        )
        self._bucket = bucket

    def read(self, path: str) -> bytes:
        """Return the object's content. Raises NotFound."""
        place = place_of(path)
        with self._told():
            try:
                return bytes(self._obstore.get(self._store, place).bytes())
            except FileNotFoundError:
                raise no_file(path) from None

    def write(self, path: str, content: bytes) -> None:
        """Create the object; nothing happens when it is there with the same content.

        Raises:
            Corrupt: it exists with another content.
        """
        place = place_of(path)
        with self._told():
            try:
                self._obstore.put(self._store, place, content, mode="create", use_multipart=False)
            except self._obstore.exceptions.AlreadyExistsError:
                if self.read(path) != content:
                    raise rewritten(path) from None

    def write_all(self, files: Sequence[File]) -> None:
        """Create objects one after the other; see `write`.

        Raises:
            Corrupt: one exists with another content.
        """
        for path, content in files:
            self.write(path, content)

    def holds(self, path: str) -> bool:
        """Return whether there is such an object."""
        place = place_of(path)
        with self._told():
            try:
                self._obstore.head(self._store, place)
            except FileNotFoundError:
                return False
        return True

    def put_file(self, path: str, source: Path) -> None:
        """Put a copy of a file there, a large one in parts; what is there already is replaced by it."""
        place = place_of(path)
        with self._told():
            self._obstore.put(self._store, place, source, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

    def fetch_file(self, path: str, target: Path) -> None:
        """Write an object's content to `target`, range by range: each request ends within its time. Raises NotFound."""
        place = place_of(path)
        with self._told(), target.open("wb") as file:
            try:
                size = self._obstore.head(self._store, place)["size"]
                for start in range(0, size, PART_BYTES):
                    end = min(start + PART_BYTES, size)
                    file.write(self._obstore.get_range(self._store, place, start=start, end=end))
            except FileNotFoundError:
                raise no_file(path) from None

    def names(self, folder: str) -> Iterator[str]:
        """Yield the paths of all objects below a folder, in no order."""
        place = place_of(folder)
        with self._told():
            for page in self._obstore.list(self._store, f"{place}/"):
                yield from (one["path"] for one in page)

    def discard(self, path: str) -> None:
        """Remove an object, or all below a folder, if there are any."""
        place = place_of(path)
        with self._told():
            below = [one["path"] for page in self._obstore.list(self._store, f"{place}/") for one in page]
            self._obstore.delete(self._store, [place, *below])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what the client raises in words that name no key.

        Raises:
            Unavailable: the store does not answer, or lets this hub do nothing.
        """
        try:
            yield
        except self._obstore.exceptions.BaseError as error:
            raise Unavailable(
                "adapters.object_store_failed",
                what=Text(
                    zh=f"对象存储桶 {self._bucket} 没有完成请求（{type(error).__name__}）。",
                    en=f"The bucket {self._bucket} of the object store did not do as asked ({type(error).__name__}).",
                ),
                remedy=Text(
                    zh="请检查对象存储服务、网络、密钥和桶的权限；系统会自动重试。",
                    en="Check the store, the network, the key and its rights on the bucket; it is tried again.",
                ),
                context={"bucket": self._bucket},
            ) from error


def place_of(path: str) -> str:
    """Return where a file of the log lies below its store. Raises NotFound: it would lie elsewhere."""
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise no_file(path)
    return path


def _client() -> ModuleType:
    try:
        import_module("obstore.exceptions")
        return import_module("obstore")
    except ModuleNotFoundError as error:
        raise Misconfigured(
            "adapters.object_store_missing",
            what=Text(zh="没有安装对象存储客户端。", en="The client of object stores is not installed."),
            remedy=Text(zh="请安装 datong[s3]。", en="Install datong[s3]."),
            field="DATONG_OBJECT_STORE",
        ) from error
