"""Runs one node's device plugins: `python -m vistrain_devcluster.device_plugin FOLDER NODE PROFILE=COUNT`."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path

import grpc

from vistrain_devcluster.config import MIG_RESOURCE_PREFIX
from vistrain_devcluster.device_plugin import REGISTERED
from vistrain_devcluster.device_plugin.server import (
    SlicePlugin,
    known_devices,
    kubelet_identity,
    slice_ids,
)

log = logging.getLogger("vistrain_devcluster.device_plugin")
WATCH_SECONDS = 0.25


def run(plugins: list[SlicePlugin], folder: Path, stopped: threading.Event) -> None:
    """Serves and registers until ``stopped``; does both again whenever the kubelet starts anew.

    A kubelet that starts removes every socket in its folder and forgets who had registered.
    """
    registered_with = None
    while not stopped.is_set():
        kubelet = kubelet_identity(folder)
        if kubelet is not None and (
            kubelet != registered_with or not all(p.socket.exists() for p in plugins)
        ):
            try:
                for plugin in plugins:
                    plugin.stop()
                    plugin.serve()
                    plugin.register()
                registered_with = kubelet
            except grpc.RpcError as error:
                log.warning("the kubelet does not take the registration yet: %s", error)
        elif kubelet is not None and not (folder / REGISTERED).exists():
            _mark_when_known(plugins, folder)
        stopped.wait(WATCH_SECONDS)
    for plugin in plugins:
        plugin.stop()


def _mark_when_known(plugins: list[SlicePlugin], folder: Path) -> None:
    offered = {device for plugin in plugins for device in plugin.devices}
    try:
        if offered <= known_devices(folder.parent / "pod-resources" / "kubelet.sock"):
            (folder / REGISTERED).touch()
    except grpc.RpcError as error:
        log.warning("the kubelet does not tell its devices yet: %s", error)


def main(arguments: list[str]) -> None:
    """FOLDER is the kubelet's ``device-plugins``; NODE makes the identifiers of the slices its own."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    folder, node = Path(arguments[0]), arguments[1]
    plugins = []
    for offer in arguments[2:]:
        profile, count = offer.rsplit("=", 1)
        resource = f"{MIG_RESOURCE_PREFIX}{profile}"
        plugins.append(SlicePlugin(folder, resource, slice_ids(node, profile, int(count))))
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    run(plugins, folder, stopped)


if __name__ == "__main__":
    main(sys.argv[1:])
