"""Stands where pytest-xdist expects a worker's interpreter: has `tests.whole_run` fork one, and waits for its end.

`python forked_worker.py SOCKET …`: the arguments after SOCKET, meant for an interpreter, are not needed; the forked
process runs what xdist sends down the pipe.
"""

import socket
import sys

STANDARD_STREAMS = (0, 1, 2)


def main() -> None:
    """Hand this process's streams to a fork of the run; it holds the connection until it ends."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        socket.send_fds(connection, [b"\0"], STANDARD_STREAMS)
        connection.recv(1)


if __name__ == "__main__":
    main()
