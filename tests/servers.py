"""Real servers for tests and benchmarks, on loopback: PostgreSQL, MLflow, one asking who calls."""

from __future__ import annotations

import base64
import http.client
import http.server
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = [
    "PASSWORD", "TOKEN", "USER", "Server", "clean_environment", "guard", "has_basic_auth",
    "mlflow_server", "postgres", "postgres_bin",
]  # fmt: skip

LOOPBACK = "127.0.0.1"
USER, PASSWORD, TOKEN = "ann", "a long password", "a-token"
_POSTGRES_USER = "postgres"
# Debian and Ubuntu keep the server's programs off the PATH, one folder a version.
_DEBIAN = Path("/usr/lib/postgresql")
_PER_CONNECTION = {"connection", "content-length", "keep-alive", "transfer-encoding", "host"}


def postgres_bin() -> Path | None:
    """Folder of ``initdb`` and ``postgres``; None where PostgreSQL is not installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


def has_basic_auth() -> bool:
    """Whether ``mlflow server --app-name basic-auth`` can be started: mlflow's extra ``auth``."""
    return importlib.util.find_spec("flask_wtf") is not None


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what MLflow reads from it, and `variables`."""
    return {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")} | variables


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers.

    Raises
    ------
    RuntimeError
        If it ends, or does not answer within a minute; with the end of its log.
    """
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} is not there:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


@contextmanager
def postgres() -> Iterator[str]:
    """Run PostgreSQL with a fresh, empty database; yield its SQLAlchemy address.

    Nothing is flushed to disk, and who connects is believed, so it is for tests only. The files are
    in a folder of their own: PostgreSQL refuses to run as root, and no other user can enter
    pytest's folders.
    """
    programs = postgres_bin()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed")
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="rsa_exp_pg_") as name:
        folder = Path(name)
        log = folder / "log"
        identity: dict[str, Any] = {"cwd": folder}
        if os.getuid() == 0:
            shutil.chown(folder, _POSTGRES_USER)
            identity |= {"user": _POSTGRES_USER, "extra_groups": []}
        data = str(folder / "data")
        subprocess.run(
            [str(programs / "initdb"), "-D", data, "-U", _POSTGRES_USER, "--auth=trust",
             "--no-sync", "--encoding=UTF8", "--locale=C"],
            check=True, capture_output=True, **identity,
        )  # fmt: skip
        command = [str(programs / "postgres"), "-D", data, "-p", str(port), "-h", LOOPBACK]
        command += ["-k", "", "-c", "fsync=off"]  # no socket file
        with log.open("wb") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=stream, **identity)
        try:
            check = [str(programs / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(port)]
            _wait(lambda: subprocess.run(check).returncode == 0, process, log)
            # With its driver: which one plain postgresql:// means depends on SQLAlchemy's version.
            yield f"postgresql+psycopg2://{_POSTGRES_USER}@{LOOPBACK}:{port}/{_POSTGRES_USER}"
        finally:
            process.send_signal(signal.SIGINT)  # ends open connections
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)  # at once, its children too
                process.wait(timeout=30)


class Server:
    """An ``mlflow server`` that can be taken away and brought back at the same address.

    Attributes
    ----------
    address : str
        For ``MLFLOW_TRACKING_URI``.
    """

    def __init__(self, command: list[str], folder: Path, port: int, variables: dict[str, str]):
        self.address = f"http://{LOOPBACK}:{port}"
        self._command, self._folder = command, folder
        self._environment = clean_environment(**variables)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self._folder / "server.log"
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=stream,
                stderr=stream, start_new_session=True,
            )  # fmt: skip
        _wait(self._answers, self._process, log)

    def stop(self) -> None:
        """Kill it with its workers, in the middle of what they do."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
            self._process = None

    def close(self) -> None:
        """End it as an operator would, so that it waits for its workers; kill what is left."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)
        self.stop()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=1):
                return True
        except OSError:
            return False


@contextmanager
def mlflow_server(
    backend_uri: str, folder: Path, *, workers: int = 1, auth: bool = False
) -> Iterator[Server]:
    """Run ``mlflow server``, through which artifacts go as well.

    Parameters
    ----------
    backend_uri : str
        Database of runs.
    folder : Path
        For artifacts and ``server.log``.
    workers : int
        Processes that answer.
    auth : bool
        With MLflow's own accounts, of which one exists: `USER` with `PASSWORD`.
    """
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port)]
    command += ["--workers", str(workers), "--backend-store-uri", backend_uri]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    variables = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    if auth:
        command += ["--app-name", "basic-auth"]
        variables["MLFLOW_AUTH_CONFIG_PATH"] = str(_auth_config(folder))
        variables["MLFLOW_FLASK_SERVER_SECRET_KEY"] = TOKEN
    server = Server(command, folder, port, variables)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _auth_config(folder: Path) -> Path:
    path = folder / "auth.ini"
    lines = ["[mlflow]", "default_permission = EDIT", f"database_uri = sqlite:///{folder}/auth.db"]
    lines += [f"admin_username = {USER}", f"admin_password = {PASSWORD}"]
    lines += ["authorization_function = mlflow.server.auth:authenticate_request_basic_auth"]
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def guard(server: Server) -> Iterator[str]:
    """Put a proxy before a server that wants `USER` and `PASSWORD`, or `TOKEN`; yield its address.

    What does not know MLflow (nginx, an identity-aware proxy) answers like this: 401 and HTML.
    """
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    keys = {f"Basic {basic}", f"Bearer {TOKEN}"}
    target = server.address.removeprefix("http://")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") not in keys:
                headers = [("WWW-Authenticate", 'Basic realm="MLflow"')]
                self._answer(401, headers, b"<html><h1>401 Authorization Required</h1></html>")
                return
            connection = http.client.HTTPConnection(target, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            self._answer(answer.status, answer.getheaders(), answer.read())
            connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in _PER_CONNECTION | {"date", "server"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    proxy = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{proxy.server_address[1]}"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
