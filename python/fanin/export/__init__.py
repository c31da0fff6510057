"""Trained networks for other libraries: ONNX, PyTorch, scikit-learn's, and those of theirs for us.

`to_onnx` writes one graph with the preprocessing, the network and the probabilities in it;
`register_skl2onnx` lets pipelines of scikit-learn with fanin's transformers and estimators be
converted; `to_torch`, `to_state_dict`, `from_torch` and `from_sklearn` take parameters across.
None of these libraries is needed until its function is called.
"""

from fanin.export.converters import register_skl2onnx
from fanin.export.onnx_file import to_onnx
from fanin.export.pytorch import to_state_dict, to_torch
from fanin.export.pytorch_reading import from_torch
from fanin.export.scikit_learn import from_sklearn
from fanin.export.tables import onnx_inputs

__all__ = [
    "from_sklearn",
    "from_torch",
    "onnx_inputs",
    "register_skl2onnx",
    "to_onnx",
    "to_state_dict",
    "to_torch",
]
