"""The device plugin against a kubelet's registration service: registration, devices, allocation, restart."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest

from vistrain_devcluster.api import wait_until
from vistrain_devcluster.device_plugin import REGISTERED, api
from vistrain_devcluster.device_plugin.__main__ import run
from vistrain_devcluster.device_plugin.server import SlicePlugin, slice_ids

RESOURCE = "nvidia.com/mig-1g.20gb"
SECONDS = 20


class Kubelet:
    """The part of a kubelet that plugins meet: a socket that takes registrations."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / api.KUBELET_SOCKET
        self.registered: Queue[Any] = Queue()
        # As the real one does: everything in the folder goes when it starts.
        for stale in folder.iterdir():
            stale.unlink()
        handler = grpc.unary_unary_rpc_method_handler(
            self._register,
            request_deserializer=api.RegisterRequest.FromString,
            response_serializer=api.Empty.SerializeToString,
        )
        self.server = grpc.server(ThreadPoolExecutor(max_workers=2))
        self.server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("v1beta1.Registration", {"Register": handler})]
        )
        self.known: list[str] = []
        lister = grpc.unary_unary_rpc_method_handler(
            self._allocatable,
            request_deserializer=api.AllocatableResourcesRequest.FromString,
            response_serializer=api.AllocatableResourcesResponse.SerializeToString,
        )
        self.server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    "v1.PodResourcesLister", {"GetAllocatableResources": lister}
                )
            ]
        )
        resources = folder.parent / "pod-resources"
        resources.mkdir(exist_ok=True)
        self.server.add_insecure_port(f"unix:{self.socket}")
        self.server.add_insecure_port(f"unix:{resources / 'kubelet.sock'}")
        self.server.start()

    def _allocatable(self, _request: Any, _context: Any) -> Any:
        answer = api.AllocatableResourcesResponse()
        answer.devices.add(resource_name=RESOURCE, device_ids=self.known)
        return answer

    def _register(self, request: Any, _context: Any) -> Any:
        self.registered.put(request)
        return api.Empty()

    def stop(self) -> None:
        self.server.stop(0).wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    # Short: the path of a Unix socket has room for 107 characters.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        plugins = Path(name) / "device-plugins"
        plugins.mkdir()
        yield plugins


def call(plugin: SlicePlugin, method: str, request: Any, response: Any) -> Any:
    with grpc.insecure_channel(f"unix:{plugin.socket}") as channel:
        made = channel.unary_unary(
            f"/{api.SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        return made(request, timeout=SECONDS)


def test_messages_have_the_interfaces_numbers_on_the_wire() -> None:
    request = api.RegisterRequest(version="v1beta1", endpoint="e", resource_name="r")
    assert request.SerializeToString() == b"\n\x07v1beta1\x12\x01e\x1a\x01r"
    response = api.ContainerAllocateResponse(envs={"K": "V"})
    assert response.SerializeToString() == b"\n\x06\n\x01K\x12\x01V"
    device = api.ListAndWatchResponse(devices=[api.Device(ID="d", health="Healthy")])
    assert device.SerializeToString() == b"\n\x0c\n\x01d\x12\x07Healthy"


def test_identifiers_are_stable_and_differ() -> None:
    assert slice_ids("node-a", "1g.20gb", 2) == slice_ids("node-a", "1g.20gb", 2)
    ids = slice_ids("node-a", "1g.20gb", 2) + slice_ids("node-b", "1g.20gb", 2)
    assert len(set(ids)) == 4
    assert all(name.startswith("MIG-") for name in ids)


def test_allocate_sets_the_variables_of_the_devices_that_were_asked_for(folder: Path) -> None:
    devices = slice_ids("node-a", "1g.20gb", 2)
    plugin = SlicePlugin(folder, RESOURCE, devices)
    plugin.serve()
    request = api.AllocateRequest()
    request.container_requests.add(devices_ids=[devices[1]])
    answer = call(plugin, "Allocate", request, api.AllocateResponse)
    (container,) = answer.container_responses
    assert dict(container.envs) == {
        "NVIDIA_VISIBLE_DEVICES": devices[1],
        "VISTRAIN_STANDIN_DEVICE": "cpu",
    }
    options = call(plugin, "GetDevicePluginOptions", api.Empty(), api.DevicePluginOptions)
    assert not options.pre_start_required
    plugin.stop()
    assert not plugin.socket.exists()


def test_a_device_that_was_never_offered_is_refused(folder: Path) -> None:
    plugin = SlicePlugin(folder, RESOURCE, ["MIG-1"])
    plugin.serve()
    request = api.AllocateRequest()
    request.container_requests.add(devices_ids=["MIG-2"])
    with pytest.raises(grpc.RpcError) as refused:
        call(plugin, "Allocate", request, api.AllocateResponse)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "MIG-2" in refused.value.details()
    plugin.stop()


def test_it_registers_with_the_kubelet_and_again_with_the_next_one(folder: Path) -> None:
    plugin = SlicePlugin(folder, RESOURCE, ["MIG-1"])
    stopped = threading.Event()
    thread = threading.Thread(target=run, args=([plugin], folder, stopped))
    thread.start()
    try:
        for _ in range(2):
            kubelet = Kubelet(folder)
            request = kubelet.registered.get(timeout=SECONDS)
            assert (request.version, request.resource_name) == ("v1beta1", RESOURCE)
            with grpc.insecure_channel(f"unix:{folder / request.endpoint}") as channel:
                watch = channel.unary_stream(
                    f"/{api.SERVICE}/ListAndWatch",
                    request_serializer=api.Empty.SerializeToString,
                    response_deserializer=api.ListAndWatchResponse.FromString,
                )(api.Empty(), timeout=SECONDS)
                devices = next(watch).devices
                assert [(d.ID, d.health) for d in devices] == [("MIG-1", "Healthy")]
                assert not (folder / REGISTERED).exists()
                kubelet.known.append("MIG-1")
                wait_until("the file says so", (folder / REGISTERED).exists, SECONDS, "")
                watch.cancel()
            kubelet.stop()
    finally:
        stopped.set()
        thread.join(SECONDS)
    assert not thread.is_alive()
