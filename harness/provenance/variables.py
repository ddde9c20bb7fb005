"""List the environment variables that can change a run's numbers, which a run records."""

import re
from collections.abc import Mapping

from harness.training.determinism import CUBLAS_WORKSPACE

# Prefixes of environment variables that change numbers, from the documentation and the binaries of oneDNN, MKL,
# OpenMP's runtimes, FBGEMM, OpenBLAS, BLIS, NumPy, torch, cuBLAS and cuDNN. ATEN_CPU_CAPABILITY is not among them,
# because its effect, the CPU capability, is recorded itself.
ON_CPU = (
    "ONEDNN_",
    "DNNL_",
    "MKL_",
    "OMP_DYNAMIC",
    "OMP_MAX_ACTIVE_LEVELS",
    "OMP_THREAD_LIMIT",
    "KMP_ALL_THREADS",
    "KMP_DETERMINISTIC_REDUCTION",
    "KMP_DEVICE_THREAD_LIMIT",
    "KMP_DYNAMIC_MODE",
    "KMP_FORCE_REDUCTION",
    "FBGEMM_",
    "OPENBLAS_CORETYPE",
    "BLIS_ARCH_TYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "TORCH_LINEAR_FLATTEN_3D",
    "TORCH_MKLDNN_",
)
ON_CUDA = (
    "CUBLAS_",
    "CUBLASLT_",
    "CUDNN_",
    "DISABLE_ADDMM_CUDA_LT",
    "NVIDIA_TF32_OVERRIDE",
    "PYTORCH_TUNABLEOP_",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_",
    "TORCH_CUBLASLT_",
    "TORCH_CUDNN_",
    "TORCH_LINALG_PREFER_",
    "TORCH_LINEAR_FLATTEN_3D",
)
# variables among them that change no numbers: logging, caching, tracing, and thread counts, which the config sets
WITHOUT_NUMBERS = re.compile(
    "VERBOSE|LOG|NVTX|_ITT|DEBUG|DUMP|PROFILE|STATS|CACHE|NUM_THREADS|MKL_DYNAMIC|MKL_DISABLE_FAST_MM|MKL_FAST_MEMORY"
)


def numerical_variables(of: Mapping[str, str], device: str | None = None) -> dict[str, str]:
    """Return the variables of an environment that change numbers on `device` (None: on any device), by name.

    cuBLAS's workspace setting is left out if it has the value of every run on CUDA (`determinism.isolated`).
    """
    beginnings = ON_CPU + ON_CUDA if device is None else ON_CPU if device == "cpu" else ON_CUDA
    return {
        name: value
        for name, value in sorted(of.items())
        if name.startswith(beginnings) and not WITHOUT_NUMBERS.search(name) and (name, value) != CUBLAS_WORKSPACE
    }
