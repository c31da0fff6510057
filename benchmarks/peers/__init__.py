"""The libraries compared. Each module here has

- ``configure(threads)``, called once, before anything else;
- ``version()``;
- ``JOBS``: for each kind of job that it can do, a function ``job -> Prepared``, or to None where
  it has no way to do just that one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

PEERS = {  # name in the table -> (module here, what its user imports)
    "fanin": ("fanin_", "fanin"),
    "NumPy": ("numpy_", "numpy"),
    "PyTorch": ("torch_", "torch"),
    "JAX": ("jax_", "jax"),
    "scikit-learn": ("sklearn_", "sklearn.neural_network"),
    "onnxruntime": ("onnxruntime_", "onnxruntime"),
    "lecture": ("lecture", "numpy"),
    "torchvision": ("torchvision_", "torchvision"),
    "OpenCV": ("opencv_", "cv2"),
    "Albumentations": ("albumentations_", "albumentations"),
    "Numba": ("numba_", "numba"),
}

ISA_ENVIRONMENT = {  # instruction set -> the variables that hold the peers to it
    "": {},
    "avx2": {
        "FANIN_ISA": "avx2",
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
}


def installed() -> tuple[list[str], list[str]]:
    """(names of the installed peers, names of the missing ones)."""
    found, missing = [], []
    for name, (_, module) in PEERS.items():
        package = module.partition(".")[0]
        (found if importlib.util.find_spec(package) else missing).append(name)
    return found, missing


def load(name: str) -> ModuleType:
    if name == "torchvision":  # transforms need none of the operators that another build's lacks
        shapes = "torchvision._meta_registrations"
        sys.modules.setdefault(shapes, ModuleType(shapes))
    return importlib.import_module(f"benchmarks.peers.{PEERS[name][0]}")
