"""Readings of the GPU: memory, temperature, power."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from vistrain_api.protocol import GpuMemory


@dataclass(frozen=True)
class GpuReading:
    """What the GPU says; none where a slice may not tell."""

    memory: GpuMemory
    temperature_celsius: float | None
    power_watts: float | None

    def row(self) -> dict[str, float | None]:
        """As a row of log.jsonl has it; what is hidden is left out."""
        values = {
            "gpu_memory_bytes": self.memory.used_bytes,
            "gpu_temperature_celsius": self.temperature_celsius,
            "gpu_power_watts": self.power_watts,
        }
        return {name: value for name, value in values.items() if value is not None}


class GpuReader:
    """Reads a CUDA device. Temperature and power are of the whole card; a MIG slice may hide them."""

    def __init__(self, device: torch.device) -> None:
        self._device = device if device.type == "cuda" else None
        self._handle: object | None = None
        self._total = 0
        if self._device is not None:
            self._total = torch.cuda.mem_get_info(self._device)[1]
            with contextlib.suppress(
                Exception
            ):  # no library, no right, no such handle: readings are optional
                import pynvml  # type: ignore[import-untyped]

                pynvml.nvmlInit()
                uuid = str(torch.cuda.get_device_properties(self._device).uuid)
                prefix = "" if uuid.startswith(("GPU-", "MIG-")) else "GPU-"
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(prefix + uuid)

    def read(self) -> GpuReading | None:
        """A reading; none on a CPU."""
        if self._device is None:
            return None
        memory = GpuMemory(used_bytes=torch.cuda.max_memory_reserved(self._device), total_bytes=self._total)
        temperature = power = None
        if self._handle is not None:
            import pynvml

            with contextlib.suppress(pynvml.NVMLError):
                temperature = float(
                    pynvml.nvmlDeviceGetTemperature(self._handle, pynvml.NVML_TEMPERATURE_GPU)
                )
            with contextlib.suppress(pynvml.NVMLError):
                power = pynvml.nvmlDeviceGetPowerUsage(self._handle) / 1000
        return GpuReading(memory, temperature, power)
