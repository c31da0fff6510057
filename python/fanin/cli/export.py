"""``fanin export``: a trained network, or an ensemble, as a model of ONNX."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fanin._files import current_file
from fanin.cli import shared
from fanin.cli.options import whole
from fanin.export import to_onnx
from fanin.export.onnx_file import INPUT_DTYPES, OLDEST_OPSET


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes one graph with preprocessing, network and probabilities, which onnxruntime and "
        "others run. Needs onnx: pip install fanin[onnx]."
    )
    add = parser.add_argument
    add("network", metavar="RUN", type=Path, help="folder of a training run, or the file of a "
        "network or an ensemble")  # fmt: skip
    add("out", metavar="FILE", type=Path, help="the model to write, such as model.onnx")
    add("--opset", type=whole(OLDEST_OPSET), default=OLDEST_OPSET, metavar="N", help="version of "
        f"ONNX's operators, {OLDEST_OPSET} (default) or later")  # fmt: skip
    add("--input-dtype", choices=INPUT_DTYPES, metavar="DTYPE", help="of the input (default: that "
        "of the training data)")  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout, only that")


def run(args: argparse.Namespace) -> int:
    run = args.network if args.network.is_dir() else None
    net = shared.load_model(args.network if run is None else current_file(run / shared.NETWORK))
    model = to_onnx(net, args.out, opset=args.opset, input_dtype=args.input_dtype)
    takes, gives = _values(model.graph.input), _values(model.graph.output)
    facts = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    if args.json:
        found = {"out": str(args.out), "network": repr(net), "takes": takes, "gives": gives}
        print(json.dumps({**found, "opset": args.opset, "classes": facts.get("classes")}))
        return 0
    print(f"{net!r}, opset {args.opset}")
    for verb, values in (("takes", takes), ("gives", gives)):
        told = (f"{v['name']} ({', '.join(map(str, v['shape']))}) {v['dtype']}" for v in values)
        print(f"{verb} {', '.join(told)}")
    print(f"saved in {args.out}: {args.out.stat().st_size} bytes, checked by onnx")
    return 0


def _values(values: Any) -> list[dict[str, Any]]:
    """Names, shapes and dtypes of a graph's inputs or outputs."""
    from onnx import TensorProto

    found = []
    for value in values:
        tensor = value.type.tensor_type
        shape = [d.dim_param or d.dim_value for d in tensor.shape.dim]
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        dtype = {"float": "float32", "double": "float64"}.get(kind, kind)
        found.append({"name": value.name, "shape": shape, "dtype": dtype})
    return found
