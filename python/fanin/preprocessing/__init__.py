"""Zero-centring, normalisation, PCA, whitening and tables, in scikit-learn's manner.

Fit on the training data only. Data are (N, D) or images (N, H, W, C), taken as N rows of H * W * C
features; uint8, float32 or float64, of any strides, and never copied; or sparse, or for
`TableEncoder` a frame. Results are float64 for float64
data, else float32. The mean is subtracted before anything is rounded, and sums over rows are in
float64 (products of uint8 and of much float32 data in float32 over 256 rows first). The same
batches of partial_fit give the same bits for any ``n_threads``; others agree within rounding.
"""

from fanin.preprocessing.tables import TableEncoder
from fanin.preprocessing.transformers import (
    PCA,
    Normalize,
    Preprocess,
    Whiten,
    ZeroCenter,
    column_moments,
)

__all__ = [
    "PCA",
    "Normalize",
    "Preprocess",
    "TableEncoder",
    "Whiten",
    "ZeroCenter",
    "column_moments",
]
