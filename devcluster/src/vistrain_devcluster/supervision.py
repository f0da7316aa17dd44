"""Supervised processes: configuration of supervisord, its start, and calls to it over its Unix socket.

The cluster has one supervisord for the control plane and one per node, which is process 1 of the node.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

START_TIMEOUT = 20.0  # seconds until supervisord answers
STOPPED_STATES = {"STOPPED", "EXITED", "FATAL", "BACKOFF", "UNKNOWN"}
NOT_RUNNING, ALREADY_STARTED = 70, 60  # supervisor.xmlrpc.Faults


@dataclass(frozen=True)
class Program:
    """A supervised process.

    ``priority`` orders the start (low first) and, reversed, the stop; ``stop_seconds`` is the time
    between SIGTERM and SIGKILL. A program that is not ``restart`` stays down when it ends. With
    ``stop_group`` SIGTERM goes to the whole process group.
    """

    name: str
    command: Sequence[str]
    priority: int = 100
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: int = 10
    restart: bool = True
    autostart: bool = True
    stop_group: bool = False
    directory: str = "/"


def _quoted(text: str) -> str:
    """``text`` as one word of supervisord's configuration, which has no escapes for some characters."""
    if any(mark in text for mark in ('"', "\\", "\n", " ;", " #")):
        raise ValueError(
            f"supervisord's configuration cannot hold {text!r}: a quote, backslash or comment mark"
        )
    return '"' + text.replace("%", "%%") + '"'


def render(programs: Sequence[Program], *, socket: Path, logs: Path, name: str) -> str:
    """The configuration file of one supervisord. Logs are ``LOGS/PROGRAM.log``, kept to 20 MB twice."""
    sections = [
        "[unix_http_server]",
        f"file = {socket}",
        "chmod = 0600",
        "",
        "[supervisord]",
        f"identifier = {name}",
        f"logfile = {logs / 'supervisord.log'}",
        "logfile_maxbytes = 5MB",
        "logfile_backups = 1",
        f"pidfile = {socket.with_suffix('.pid')}",
        "user = root",
        "minfds = 1024",
        "minprocs = 200",
        "loglevel = info",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for program in programs:
        environment = ",".join(f"{key}={_quoted(value)}" for key, value in program.environment.items())
        sections += [
            "",
            f"[program:{program.name}]",
            f"command = {' '.join(_quoted(part) for part in program.command)}",
            f"directory = {program.directory}",
            f"environment = {environment}",
            f"priority = {program.priority}",
            f"autostart = {str(program.autostart).lower()}",
            f"autorestart = {str(program.restart).lower()}",
            "startsecs = 1",
            f"startretries = {20 if program.restart else 0}",
            f"stopwaitsecs = {program.stop_seconds}",
            f"stopasgroup = {str(program.stop_group).lower()}",
            f"killasgroup = {str(program.stop_group).lower()}",
            "redirect_stderr = true",
            f"stdout_logfile = {logs / (program.name + '.log')}",
            "stdout_logfile_maxbytes = 20MB",
            "stdout_logfile_backups = 1",
        ]
    return "\n".join(sections) + "\n"


def supervisord_command(config_file: Path) -> list[str]:
    """The command that runs supervisord in the foreground with the Python that runs us."""
    # -P keeps the working folder out of the module path: a node's processes run anywhere.
    return [sys.executable, "-P", "-m", "supervisor.supervisord", "--nodaemon", "-c", str(config_file)]


def start_detached(command: Sequence[str], log: Path) -> int:
    """Starts a daemon of its own session with a clean environment; returns its process id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=True,
            cwd="/",
            env=clean_environment(),
        )
    # The daemon outlives us: it must not be waited for when we end.
    process.returncode = 0
    return process.pid


def clean_environment() -> dict[str, str]:
    """The environment of the cluster's processes: no proxies, no settings of the caller's shell."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": os.environ.get("HOME", "/root"),
        "LANG": "C.UTF-8",
    }


class SupervisorGone(RuntimeError):
    """Nobody answers on a supervisord's socket."""


class Supervisor:
    """Calls to the supervisord that listens on ``socket``."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    @contextmanager
    def _proxy(self) -> Iterator[Any]:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self.socket}")
        try:
            yield ServerProxy("http://127.0.0.1", transport=transport).supervisor
        except (OSError, EOFError) as error:
            raise SupervisorGone(f"no supervisord answers on {self.socket}: {error}") from error
        finally:
            transport.close()

    def alive(self) -> bool:
        try:
            with self._proxy() as proxy:
                return bool(proxy.getState()["statename"] == "RUNNING")
        except SupervisorGone:
            return False

    def wait(self, log: Path) -> None:
        """Returns once supervisord answers; an error that ends with its log otherwise."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self.alive():
            if time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:] if log.exists() else "(no log)"
                raise SupervisorGone(
                    f"supervisord on {self.socket} did not answer within {START_TIMEOUT:.0f} s; "
                    f"{log}:\n{tail}"
                )
            time.sleep(0.05)

    def programs(self) -> list[dict[str, Any]]:
        """State of each program as supervisord tells it (``name``, ``statename``, ``pid`` ...)."""
        with self._proxy() as proxy:
            return list(proxy.getAllProcessInfo())

    def stopped(self, name: str) -> bool:
        """Whether a program is down, as far as supervisord has noticed."""
        return any(p["name"] == name and p["statename"] in STOPPED_STATES for p in self.programs())

    def start(self, name: str, *, wait: bool = True) -> None:
        """Starts a program; one that runs already is fine."""
        with self._proxy() as proxy:
            try:
                proxy.startProcess(name, wait)
            except Fault as fault:
                if fault.faultCode != ALREADY_STARTED:
                    raise RuntimeError(f"program {name} does not start: {fault.faultString}") from fault

    def stop(self, name: str) -> None:
        """Stops a program and waits for its end; one that is down already is fine."""
        with self._proxy() as proxy:
            try:
                proxy.stopProcess(name, True)
            except Fault as fault:
                if fault.faultCode != NOT_RUNNING:
                    raise RuntimeError(f"program {name} does not stop: {fault.faultString}") from fault

    def stop_all(self) -> None:
        """Stops all programs, highest priority number first, and waits for their ends."""
        with self._proxy() as proxy:
            proxy.stopAllProcesses(True)

    def reread(self) -> None:
        """Takes up the changes of the configuration file; starts added programs that start by themselves."""
        with self._proxy() as proxy:
            added, changed, removed = proxy.reloadConfig()[0]
            for name in removed:
                proxy.stopProcessGroup(name)
                proxy.removeProcessGroup(name)
            for name in changed:
                proxy.stopProcessGroup(name)
                proxy.removeProcessGroup(name)
                proxy.addProcessGroup(name)
            for name in added:
                proxy.addProcessGroup(name)
