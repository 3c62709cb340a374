"""MLflow's UI on a local store, on the loopback interface alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from rsa_exp.errors import InputError
from rsa_exp.tracking.addresses import store_uri
from rsa_exp.tracking.store import existing_store

__all__ = ["serve"]


def serve(folder: Path, port: int) -> int:
    """Run MLflow's UI on a local store, on the loopback interface, until it is stopped.

    Returns the exit status of the server. A store that does not exist, or a port that is taken,
    raises `InputError`.
    """
    uri = store_uri(folder)
    if uri.startswith("http"):
        print(f"the store is a server with a UI of its own: {uri}")
        return 0
    existing_store(folder)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise InputError(f"port {port} cannot be used ({error}); choose one with --port") from (
                error
            )
    print(f"MLflow's UI: http://127.0.0.1:{port} (stop it with Ctrl-C)", flush=True)
    server = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    server += ["--port", str(port), "--workers", "1", "--backend-store-uri", uri]
    # A session of its own, so that the server's workers are stopped with it.
    process = subprocess.Popen(server, start_new_session=True)  # noqa: S603
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
