"""A real S3 server for tests: SeaweedFS, whose program comes as a package, with its data in a temporary folder."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from datong.adapters import ObjectStore, ObjectStoreAccess
from datong.kernel import Unavailable
from tests.free_ports import free_port

WEED = Path(sys.executable).parent / "weed"
START_SECONDS = 120.0
KEY_ID, SECRET = "datong", "secret-of-the-tests"
PARTS = ("master", "volume", "filer", "s3")


@dataclass
class ObjectServer:
    """A running server; a bucket is made when something is first put into it."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def access(self, address: str = "s3://datong/hub") -> ObjectStoreAccess:
        """Return how the store at `address` is reached."""
        endpoint = f"http://127.0.0.1:{self.port}"
        return ObjectStoreAccess(address=address, endpoint=endpoint, region="us-east-1", key_id=KEY_ID, secret=SECRET)

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_object_server() -> ObjectServer:
    """Start a server on free ports and return it once it answers.

    Raises:
        RuntimeError: it did not answer in time; the message holds the end of its log.
    """
    folder = Path(tempfile.mkdtemp(prefix="dt-s3-", dir="/tmp"))
    who = {"name": KEY_ID, "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [who]}))
    ports = {part: free_port() for part in PARTS}
    command = [str(WEED), "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += ["-filer", "-s3", f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0"]
    command += ["-master.volumeSizeLimitMB=64", f"-filer.localSocket={folder / 'f'}", f"-s3.localSocket={folder / 's'}"]
    for part, port in ports.items():
        command += [f"-{part}.port={port}", f"-{part}.port.grpc={free_port()}"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    server = ObjectServer(ports["s3"], folder, process)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{server.port}/healthz", trust_env=False, timeout=30).is_success:
                # Its parts find each other a moment after they answer.
                ObjectStore(server.access(), "first").write("object", b"")
                return server
        except (httpx.TransportError, Unavailable):
            pass
        time.sleep(0.2)
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    server.stop()
    raise RuntimeError(f"the object server does not answer: {said}")
