"""Messages and methods of the kubelet's device plugin interface, version v1beta1.

The descriptors are built here from the interface's field numbers
(``k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1/api.proto``), as far as a device plugin needs them; fields
that are left out keep their default on the wire.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

VERSION = "v1beta1"
KUBELET_SOCKET = "kubelet.sock"
ALLOCATABLE = "/v1.PodResourcesLister/GetAllocatableResources"
REGISTRATION = "/v1beta1.Registration/Register"
SERVICE = "v1beta1.DevicePlugin"

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {"string": _Field.TYPE_STRING, "bool": _Field.TYPE_BOOL, "int64": _Field.TYPE_INT64}

# Message: (field, number, type); a leading "*" repeats, "map" is map<string, string>.
_MESSAGES: dict[str, list[tuple[str, int, str]]] = {
    "DevicePluginOptions": [
        ("pre_start_required", 1, "bool"),
        ("get_preferred_allocation_available", 2, "bool"),
    ],
    "RegisterRequest": [
        ("version", 1, "string"),
        ("endpoint", 2, "string"),
        ("resource_name", 3, "string"),
        ("options", 4, "DevicePluginOptions"),
    ],
    "Empty": [],
    "Device": [("ID", 1, "string"), ("health", 2, "string")],
    "ListAndWatchResponse": [("devices", 1, "*Device")],
    "ContainerAllocateRequest": [("devices_ids", 1, "*string")],
    "AllocateRequest": [("container_requests", 1, "*ContainerAllocateRequest")],
    "ContainerAllocateResponse": [("envs", 1, "map"), ("annotations", 4, "map")],
    "AllocateResponse": [("container_responses", 1, "*ContainerAllocateResponse")],
    # Of the kubelet's other interface, podresources v1: what of the devices may be allocated now.
    "AllocatableResourcesRequest": [],
    "ContainerDevices": [("resource_name", 1, "string"), ("device_ids", 2, "*string")],
    "AllocatableResourcesResponse": [("devices", 1, "*ContainerDevices")],
    "PreStartContainerRequest": [("devices_ids", 1, "*string")],
    "PreStartContainerResponse": [],
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="vistrain/deviceplugin_v1beta1.proto", package="v1beta1", syntax="proto3"
    )
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for field_name, number, kind in fields:
            field = message.field.add(name=field_name, number=number, label=_Field.LABEL_OPTIONAL)
            if kind == "map":
                entry_name = f"{field_name.capitalize()}Entry"
                entry = message.nested_type.add(name=entry_name)
                entry.options.map_entry = True
                for position, part in enumerate(("key", "value"), start=1):
                    entry.field.add(
                        name=part, number=position, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING
                    )
                kind = f"*{message_name}.{entry_name}"  # noqa: PLW2901
            if kind.startswith("*"):
                field.label = _Field.LABEL_REPEATED
                kind = kind[1:]  # noqa: PLW2901
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".v1beta1.{kind}"
    return file


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    file = pool.AddSerializedFile(_file().SerializeToString()) or pool.FindFileByName(
        "vistrain/deviceplugin_v1beta1.proto"
    )
    return {
        name: message_factory.GetMessageClass(descriptor)
        for name, descriptor in file.message_types_by_name.items()
    }


_made = _classes()
AllocatableResourcesRequest: Any = _made["AllocatableResourcesRequest"]
AllocatableResourcesResponse: Any = _made["AllocatableResourcesResponse"]
AllocateRequest: Any = _made["AllocateRequest"]
AllocateResponse: Any = _made["AllocateResponse"]
ContainerAllocateResponse: Any = _made["ContainerAllocateResponse"]
Device: Any = _made["Device"]
DevicePluginOptions: Any = _made["DevicePluginOptions"]
Empty: Any = _made["Empty"]
ListAndWatchResponse: Any = _made["ListAndWatchResponse"]
PreStartContainerRequest: Any = _made["PreStartContainerRequest"]
PreStartContainerResponse: Any = _made["PreStartContainerResponse"]
RegisterRequest: Any = _made["RegisterRequest"]
