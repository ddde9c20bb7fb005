"""Find the devices of this machine, and the settings with which a device trains fastest."""

from typing import Any

import torch

from harness.errors import BadInputError, did_you_mean


def resolve_device(name: str) -> str:
    """Return the best device of this machine for `auto`, and any other name after a check that this machine has it.

    Raises:
        BadInputError: the device is unknown, or this machine does not have it.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available += ["cuda"] + [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        available.append("mps")
    if name == "auto":
        return next((device for device in ("cuda", "mps") if device in available), "cpu")
    if name not in available:
        known = ["auto", *available]
        raise BadInputError(
            "device",
            name,
            "is not available",
            expected=f"a device of this machine: {', '.join(known)}",
            next_step=f"{did_you_mean(name, known)}choose one of these",
        )
    return name


def fast_settings(device: str) -> dict[str, Any]:
    """Return the config settings with which a device trains fastest; they change the last bits of the results.

    They are channels_last; bfloat16 if the hardware multiplies it; and fused optimizers on the CPU, where a
    measurement showed a gain.
    """
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        native = device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
    fused = {"fused": True} if device == "cpu" else {}
    return {"memory_format": "channels_last"} | fused | ({"precision": "bfloat16"} if native else {})
