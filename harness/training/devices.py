"""The devices that a run can be on, and the settings with which one is at its fastest."""

from typing import Any

import torch

from harness.errors import BadInputError, did_you_mean


def resolve_device(name: str) -> str:
    """`auto` as the best device there is; any other name checked against what is there.

    Raises:
        BadInputError: an unknown device, or one that this machine does not have.
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
            expected=f"one that is here: {', '.join(known)}",
            next_step=f"{did_you_mean(name, known)}choose one of these",
        )
    return name


def fast_settings(device: str) -> dict[str, Any]:
    """The `fast` profile: settings of a config that a device is at its fastest with, for other last bits.

    channels_last, and bfloat16 where the device multiplies it in its hardware. Fused optimizers on the CPU, where
    they were measured to gain.
    """
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        native = device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
    fused = {"fused": True} if device == "cpu" else {}
    return {"memory_format": "channels_last"} | fused | ({"precision": "bfloat16"} if native else {})
