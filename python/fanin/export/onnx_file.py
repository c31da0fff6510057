"""`to_onnx`: a network or an ensemble as a model of ONNX."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin import _validate
from fanin._core import __version__
from fanin._files import atomic_write
from fanin._typing import PathLike
from fanin.ensemble import Ensemble
from fanin.export.graph import Graph
from fanin.export.nodes import Output, outputs
from fanin.export.packages import required
from fanin.export.tables import encode_table, input_types, table_of
from fanin.network import MLP
from fanin.network.classes import label_names

OLDEST_OPSET = 20  # the first with Gelu
INPUT_DTYPES = (
    *("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "float32", "float64"),
)
MOST_BYTES = 2**31 - 2**20  # of a file, by its format, less what is beside the arrays


def to_onnx(
    net: MLP | Ensemble,
    path: PathLike | None = None,
    *,
    opset: int = OLDEST_OPSET,
    input_dtype: npt.DTypeLike | None = None,
) -> Any:
    """The network or ensemble as a model of ONNX, which is written to a file if a path is given.

    The graph takes data as they were in training, such as bytes of images: its preprocessing is
    inside, and so are the probabilities. Its outputs are those of `predict` and `predict_proba`, to
    1e-6 in onnxruntime; with float32 networks within rounding of float32, of which whitening by
    tiny variances, or scores in the hundreds, make more.

    Parameters
    ----------
    net : MLP or Ensemble
    path : str or path, optional
        Written atomically.
    opset : int
        Version of ONNX's operators, 20 or later.
    input_dtype : dtype, optional
        Of the input: a whole number of 8 to 64 bits, float16, float32 or float64. By default that
        of the training data (bytes, float32 or float64); of a network that saw none, its own.

    Returns
    -------
    onnx.ModelProto
        Checked by `onnx.checker`. The input "X" is (N, D), or (N, H, W[, C]) after training on
        images, N of any size; with a `TableEncoder` each column is an input (N,), as `onnx_inputs`
        gives them. Outputs, by the loss: "label" (N,) int64 with "probabilities" (N, C)
        ("softmax", ensembles, and "logistic" with one output) or "scores" (N, C) ("svm"); "labels"
        (N, C) bool with "probabilities" ("logistic" with several); "predictions" (N, C) for values
        and counts, in the units of y: with Q quantiles those of the first value, then of the next.
        Where the classes are text, or ``net.metadata`` has ``class_names``, "class_name" (N,) has
        the labels' names. The model's
        ``metadata_props`` are JSON: classes, columns, loss, producer, version, metadata.

    Raises
    ------
    ImportError
        Without onnx: ``pip install fanin[onnx]``.
    ValueError, TypeError
        For what is no network, an opset or dtype that cannot be, members that take other data, and
        what no operator does (``drop_connect_inference="moments"``).

    Examples
    --------
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> net = fanin.MLP([64, 32, 10])
    >>> history = net.fit(X, y, epochs=2, progress=False)
    >>> model = fanin.export.to_onnx(net, "digits.onnx")
    >>> [value.name for value in model.graph.output]
    ['label', 'probabilities']
    >>> from onnx.reference import ReferenceEvaluator
    >>> label, probabilities = ReferenceEvaluator("digits.onnx").run(None, {"X": X[:5]})
    >>> bool((label == net.predict(X[:5])).all())
    True
    """
    onnx = required("onnx", "to_onnx", "fanin[onnx]")
    if not isinstance(net, MLP | Ensemble):
        raise TypeError(f"net: expected an MLP or an Ensemble, got {_validate.describe(net)}")
    opset = _validate.whole("opset", opset, OLDEST_OPSET, onnx.defs.onnx_opset_version())
    members = net.members if isinstance(net, Ensemble) else [net]
    size = sum(member.arena.nbytes for member in members)
    if size > MOST_BYTES:
        raise ValueError(f"net: expected at most 2 GB of parameters, ONNX's limit, got {size}")
    dtype = _input_dtype(members, input_dtype)
    shape = _input_shape(members)
    g = Graph(onnx, members[0].dtype)
    table = table_of(net)
    inputs: dict[str, tuple[np.dtype[Any], tuple[int, ...]]]
    if table is not None:
        if input_dtype is not None:
            raise ValueError(f"input_dtype: expected None for a TableEncoder, got {input_dtype!r}")
        inputs = {name: (kind, ()) for name, kind in input_types(table).items()}
        x, dtype = encode_table(g, table, members[0].dtype), members[0].dtype
    else:
        inputs = {"X": (dtype, shape)}
        x = "X" if len(shape) == 1 else g.op("Reshape", "X", np.array([0, math.prod(shape)]))
    found = outputs(g, x, dtype, net)
    metadata = members[0].metadata
    if any(member.metadata != metadata for member in members):
        metadata = {}
    targets = members[0].targets
    names = _class_names(net, metadata, targets.n_classes)
    if names is not None and found[0].name == "label":
        gathered = g.op("Gather", np.array(names, np.object_), "label", output="class_name")
        found.append(Output(gathered, np.dtype(np.object_), None))
    model = _model(g, found, inputs, opset)
    _describe(onnx, model, net, metadata, names)
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        with atomic_write(path) as file:
            file.write(model.SerializeToString())
    return model


def _input_dtype(members: Sequence[MLP], given: npt.DTypeLike | None) -> np.dtype[Any]:
    if given is not None:
        return _validate.known_dtype("input_dtype", given, *INPUT_DTYPES)
    return np.result_type(*(net.inputs.stored or net.dtype for net in members))


def _input_shape(members: Sequence[MLP]) -> tuple[int, ...]:
    """Of a row: an image's where a member was trained on images."""
    columns = {net.inputs.columns for net in members}
    if len(columns) > 1:
        raise ValueError(f"net: expected members that take the same data, got {columns} columns")
    shapes = [net.inputs.shape for net in members if net.inputs.shape is not None]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError(f"net: expected members of images of one shape, got {shapes}")
    return shapes[0] if shapes else (columns.pop(),)


def _class_names(net: MLP | Ensemble, metadata: dict[str, Any], n_classes: int) -> list[str] | None:
    classes = net.classes_
    if classes is not None and classes.dtype.kind not in "iu":
        return label_names(classes)
    names = metadata.get("class_names")
    if not names:
        return None
    good = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not good or len(names) != n_classes:
        raise ValueError(
            f"net: expected metadata['class_names'] to be {n_classes} names, got {names!r}"
        )
    return list(names)


def _model(
    g: Graph,
    found: Sequence[Output],
    inputs: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]],
    opset: int,
) -> Any:
    helper = g.onnx.helper

    def value(name: str, dtype: np.dtype[Any], shape: Sequence[int]) -> Any:
        kind = g.onnx.TensorProto.STRING if dtype == np.object_ else g.type_of(dtype)
        return helper.make_tensor_value_info(name, kind, ["N", *shape])

    graph = helper.make_graph(
        g.nodes,
        "fanin",
        [value(name, *kind) for name, kind in inputs.items()],
        [value(o.name, o.dtype, [] if o.columns is None else [o.columns]) for o in found],
        g.constants,
    )
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(
        graph,
        opset_imports=imports,
        ir_version=helper.find_min_ir_version_for(imports),  # what older runtimes take too
        producer_name="fanin",
        producer_version=__version__,
    )


def _describe(
    onnx: Any, model: Any, net: MLP | Ensemble, metadata: dict[str, Any], names: list[str] | None
) -> None:
    """Facts that go with the model."""
    members = net.members if isinstance(net, Ensemble) else [net]
    losses = sorted({member.loss_name for member in members})
    model.doc_string = repr(net)
    facts = {
        "producer": "fanin",
        "version": __version__,
        "loss": losses[0] if len(losses) == 1 else losses,
        "classes": names,
        "columns": metadata.get("feature_names"),
        "metadata": metadata or None,
    }
    known = {name: json.dumps(fact) for name, fact in facts.items() if fact is not None}
    onnx.helper.set_model_props(model, known)
