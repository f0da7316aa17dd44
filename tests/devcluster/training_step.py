"""Run inside the trainer's image: one training step of a small YOLOX, then a look at CUDA's libraries."""

import ctypes
import json
import shutil
import sysconfig
from pathlib import Path

import torch

from vistrain_trainer.detectors.yolox_package import YOLOPAFPN, YOLOXHead

torch.set_num_threads(1)
trunk, head = YOLOPAFPN(0.33, 0.25, depthwise=True), YOLOXHead(7, 0.25, depthwise=True)
parameters = [*trunk.parameters(), *head.parameters()]
optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True)
labels = torch.zeros(2, 5, 5)
labels[:, 0] = torch.tensor([1.0, 32.0, 32.0, 16.0, 16.0])
images = torch.rand(2, 3, 64, 64)
with torch.autocast("cpu", torch.bfloat16):
    loss = head(trunk(images), labels, images)[0]
loss.backward()
optimizer.step()

unresolved = []
site = Path(sysconfig.get_paths()["purelib"])
# What a step on a GPU opens: all of cuDNN, cuBLAS, NCCL, cuSOLVER, cuSPARSE, cuFFT, NVRTC and its JIT linker.
for pattern in (
    "cudnn",
    "cublas",
    "nccl",
    "cusolver",
    "cusparse",
    "cufft",
    "nvrtc",
    "nvJitLink",
    "cudart",
    "cupti",
):
    found = sorted(site.glob(f"nvidia/*/lib/lib{pattern}*.so*"))
    if not found:
        unresolved.append(f"no lib{pattern}")
    for library in found:
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            unresolved.append(f"{library.name}: {error}")

print(
    json.dumps(
        {
            "cuda": torch.version.cuda is not None,
            "finite": bool(torch.isfinite(loss)),
            "compiler": shutil.which("cc") or shutil.which("g++"),
            "unresolved": unresolved,
        }
    )
)
