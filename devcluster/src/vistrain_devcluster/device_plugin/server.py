"""One resource's device plugin: a gRPC server beside the kubelet's socket, registered with the kubelet.

The slices have no silicon below them. Allocate says so to the container: ``VISTRAIN_STANDIN_DEVICE=cpu``
alone permits a trainer to compute on the CPU although it was given a slice. All else is as NVIDIA's
plugin does it.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from vistrain_devcluster.device_plugin import api

log = logging.getLogger(__name__)

STANDIN_VARIABLE = "VISTRAIN_STANDIN_DEVICE"
VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"
REGISTER_TIMEOUT = 5  # seconds
# gRPC shares connections between channels, and with them a wait of up to 2 minutes after a refusal.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def slice_ids(node: str, profile: str, count: int) -> list[str]:
    """Identifiers in the form of MIG devices, the same at each start of the node."""
    return [
        f"MIG-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{node}/{profile}/{number}.vistrain.dev')}"
        for number in range(count)
    ]


class SlicePlugin:
    """Offers ``devices`` as the resource ``resource`` to the kubelet whose sockets lie in ``folder``."""

    def __init__(self, folder: Path, resource: str, devices: list[str]) -> None:
        self.folder = folder
        self.resource = resource
        self.devices = devices
        self.socket = folder / f"{resource.replace('/', '-').replace('+', '.')}.sock"
        self._stopped = threading.Event()
        self._server: Any = None

    # Methods of the service -----------------------------------------------------------------------

    def options(self, _request: Any, _context: Any) -> Any:
        return api.DevicePluginOptions()

    def list_and_watch(self, _request: Any, context: Any) -> Iterator[Any]:
        """The devices, once (they never fail); the stream stays open while the plugin runs."""
        yield api.ListAndWatchResponse(
            devices=[api.Device(ID=device, health="Healthy") for device in self.devices]
        )
        ended = threading.Event()
        context.add_callback(ended.set)
        while not self._stopped.is_set() and not ended.wait(0.2):
            continue

    def allocate(self, request: Any, context: Any) -> Any:
        """The environment of each container that gets slices; an identifier we never offered is refused."""
        response = api.AllocateResponse()
        for container in request.container_requests:
            unknown = [device for device in container.devices_ids if device not in self.devices]
            if unknown:
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, f"{self.resource} has no device {', '.join(unknown)}"
                )
            response.container_responses.append(
                api.ContainerAllocateResponse(
                    envs={VISIBLE_DEVICES: ",".join(container.devices_ids), STANDIN_VARIABLE: "cpu"}
                )
            )
        return response

    def pre_start(self, _request: Any, _context: Any) -> Any:
        return api.PreStartContainerResponse()

    # Life -----------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Listens on the plugin's own socket, a stale one removed."""
        self.socket.unlink(missing_ok=True)
        # ListAndWatch holds one thread for as long as the kubelet listens.
        self._server = grpc.server(ThreadPoolExecutor(max_workers=8, thread_name_prefix="plugin"))
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler

        def handler(make: Any, method: Any, request: Any, response: Any) -> Any:
            return make(
                method,
                request_deserializer=request.FromString,
                response_serializer=response.SerializeToString,
            )

        methods = {
            "GetDevicePluginOptions": handler(unary, self.options, api.Empty, api.DevicePluginOptions),
            "ListAndWatch": handler(stream, self.list_and_watch, api.Empty, api.ListAndWatchResponse),
            "Allocate": handler(unary, self.allocate, api.AllocateRequest, api.AllocateResponse),
            "PreStartContainer": handler(
                unary, self.pre_start, api.PreStartContainerRequest, api.PreStartContainerResponse
            ),
        }
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(api.SERVICE, methods)])
        self._server.add_insecure_port(f"unix:{self.socket}")
        self._server.start()

    def register(self) -> None:
        """Tells the kubelet about the resource. Raises ``grpc.RpcError`` when it does not answer."""
        with grpc.insecure_channel(f"unix:{self.folder / api.KUBELET_SOCKET}", OWN_CONNECTION) as channel:
            call = channel.unary_unary(
                api.REGISTRATION,
                request_serializer=api.RegisterRequest.SerializeToString,
                response_deserializer=api.Empty.FromString,
            )
            request = api.RegisterRequest(
                version=api.VERSION, endpoint=self.socket.name, resource_name=self.resource
            )
            call(request, timeout=REGISTER_TIMEOUT)
        log.info("registered %s with %d devices", self.resource, len(self.devices))

    def stop(self) -> None:
        self._stopped.set()
        if self._server is not None:
            self._server.stop(grace=1).wait()
            self._server = None
        self._stopped = threading.Event()
        self.socket.unlink(missing_ok=True)


def known_devices(socket: Path) -> set[str]:
    """Devices that the kubelet would allocate now, by its ``podresources``. Raises ``grpc.RpcError``."""
    with grpc.insecure_channel(f"unix:{socket}", OWN_CONNECTION) as channel:
        call = channel.unary_unary(
            api.ALLOCATABLE,
            request_serializer=api.AllocatableResourcesRequest.SerializeToString,
            response_deserializer=api.AllocatableResourcesResponse.FromString,
        )
        answer = call(api.AllocatableResourcesRequest(), timeout=REGISTER_TIMEOUT)
    return {device for group in answer.devices for device in group.device_ids}


def kubelet_identity(folder: Path) -> tuple[int, int] | None:
    """Changes whenever a kubelet has made its socket anew; None while there is none."""
    try:
        found = (folder / api.KUBELET_SOCKET).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_ctime_ns
