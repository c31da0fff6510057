"""Zero-centring, normalisation, PCA and whitening, in scikit-learn's manner.

Fit on the training data only, and apply what was learned to all other data. The lecture's two
cautions: scale features only where they should weigh the same, not blindly; and images are seldom
decorrelated or whitened, centring them is enough.

Data are (N, D) or images (N, H, W, C), taken as N rows of H * W * C features; uint8, float32 or
float64, C-contiguous. Results are float64 for float64 data, else float32. Sums over rows are in
float64; products of uint8 and of much float32 data are summed in float32 over 256 rows first. The
mean is subtracted before anything is rounded, so that a feature of 1e8 plus noise keeps its
variance. The data are never copied, and results do not depend on ``n_threads``. The same batches of
partial_fit give the same bits; other batches, and one fit of all rows, agree within rounding.
"""

from fanin.preprocessing.transformers import (
    PCA,
    Normalize,
    Preprocess,
    Whiten,
    ZeroCenter,
    column_moments,
)

__all__ = ["PCA", "Normalize", "Preprocess", "Whiten", "ZeroCenter", "column_moments"]
