"""The fused dense kernel, forward and back: every bit of the product, every activation, dropout."""

from __future__ import annotations

import hashlib
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from reference import ACTIVATIONS, SLOPES, dropout_mask, fma_product, philox

import fanin
from fanin import _core, layers
from fanin.layers.dense import activation_code

DTYPES = [np.float32, np.float64]
# Rows, inputs, outputs: each of 0, 1, 15, 16, 17, 63, 65, 333 at each place; one row and few rows
# (read in place), many (packed); narrow and wide outputs; beyond the blocks of 256 rows, 64 columns
# and 512 inputs, whose packed panels differ in depth; and shapes that are cut by columns.
SHAPES = [
    (0, 5, 3),
    (3, 0, 17),
    (3, 5, 0),
    (1, 1, 1),
    (1, 333, 15),
    (15, 1, 16),
    (15, 16, 63),
    (16, 17, 65),
    (17, 63, 1),
    (63, 65, 333),
    (65, 15, 17),
    (95, 16, 64),
    (97, 63, 16),
    (193, 17, 129),
    (333, 333, 65),
    (5, 513, 63),
    (98, 1025, 17),
    (7, 1537, 333),
    (1, 70, 1041),
    (2, 65, 257),
    (6, 130, 100),
    (25, 1030, 193),
    (26, 512, 80),
    (24, 100, 2049),  # rows of W 8 KB apart: packed, though few, in short blocks
    (50, 101, 2090),
    (13, 135, 2063),
    (515, 7, 48),
    (260, 1027, 10),
    (40, 300, 260),  # of whose inputs, transposed, a block is packed in strips of 48
]


def normals(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def short_normals(*shape: int, dtype: Any, seed: int = 0) -> np.ndarray:
    """In float64 numbers of 24 bits: their products are exact, so that an FMA is one rounding."""
    return normals(*shape, dtype=np.float32, seed=seed).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("biased", [True, False], ids=["bias", "no bias"])
def test_each_output_is_one_fma_chain_from_the_bias(
    shape: tuple[int, int, int], dtype: Any, biased: bool
) -> None:
    m, k, n = shape
    x = short_normals(m, k, dtype=dtype, seed=1)
    W = short_normals(k, n, dtype=dtype, seed=2)
    b = normals(n, dtype=dtype, seed=3) if biased else None
    expected = fma_product(x, W, b)
    for n_threads in (1, 2, 3):
        got = layers.dense(x, W, b, activation="identity", n_threads=n_threads)
        assert got.dtype == dtype
        assert np.array_equal(got, expected), f"{n_threads} threads"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_chain_is_fused(dtype: Any) -> None:
    """Against exact fractions, on numbers of full width, where a product alone would be rounded."""
    x, W, b = normals(5, 65, dtype=dtype), normals(65, 9, dtype=dtype), normals(9, dtype=dtype)

    def exact(i: int, j: int) -> float:
        acc = b[j]
        for k in range(x.shape[1]):
            total = Fraction(float(x[i, k])) * Fraction(float(W[k, j])) + Fraction(float(acc))
            acc = dtype(float(total))
        return float(acc)

    expected = np.array([[exact(i, j) for j in range(9)] for i in range(5)], dtype)
    assert np.array_equal(layers.dense(x, W, b, activation="identity"), expected)
    unfused = np.broadcast_to(b, expected.shape)
    for k in range(65):
        unfused = unfused + x[:, k, None] * W[k]
    assert not np.array_equal(unfused, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(3, 7, 15), (17, 5, 65), (97, 3, 130)])
def test_activations_against_float64(
    activation: str, shape: tuple[int, int, int], dtype: Any
) -> None:
    m, k, n = shape
    x, W, b = (normals(*s, dtype=dtype) for s in [(m, k), (k, n), (n,)])
    z = layers.dense(x, W, b, activation="identity").astype(np.float64)
    got = layers.dense(x, W, b, activation=activation)
    eps = np.finfo(dtype).eps
    expected = ACTIVATIONS[activation](z)
    if activation in ("identity", "relu"):
        assert np.array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=8 * eps, atol=2 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_against_float64(activation: str, dtype: Any) -> None:
    z = np.linspace(-12, 12, 1001).astype(dtype).reshape(7, 143)
    y, slope = _core.activation_forward(
        z, activation_code("activation", activation), 1.0, 1.0, 0, 0, 0, None, True, 0
    )
    eps = np.finfo(dtype).eps
    exact = z.astype(np.float64)
    np.testing.assert_allclose(y, ACTIVATIONS[activation](exact), rtol=8 * eps, atol=4 * eps)
    np.testing.assert_allclose(slope, SLOPES[activation](exact), rtol=8 * eps, atol=8 * eps)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_ends_of_the_range(activation: str, dtype: Any) -> None:
    z = np.array([[-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf]], dtype)
    y = layers.dense(z.T.copy(), np.ones((1, 1), dtype), activation=activation)[:, 0]
    low = {
        "identity": -np.inf,
        "leaky_relu": -np.inf,
        "elu": -1.0,
        "tanh": -1.0,
        "selu": -1.7580993408473768,
    }.get(activation, 0)
    high = {"sigmoid": 1.0, "tanh": 1.0}.get(activation, np.inf)
    if activation != "gelu":  # its limit at minus infinity is 0 * infinity
        assert y[0] == low
    assert y[-1] == high
    assert np.isfinite(y[2:4]).all()
    assert not np.isnan(y[1:5]).any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_slopes_at_the_ends_of_the_range(activation: str, dtype: Any) -> None:
    z = np.array([-np.inf, -1e30, 1e30, np.inf], dtype)
    code = activation_code("activation", activation)
    _, slope = _core.activation_forward(z, code, 1.0, 1.0, 0, 0, 0, None, True, 0)
    low = {"identity": 1, "leaky_relu": 0.01}.get(activation, 0)
    high = {"sigmoid": 0, "tanh": 0, "selu": 1.0507009873554805}.get(activation, 1)
    assert np.array_equal(slope, np.array([low, low, high, high], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_passes(activation: str, dtype: Any) -> None:
    x = np.ones((20, 3), dtype)
    x[7, 1] = np.nan
    y = layers.dense(x, np.full((3, 35), 0.1, dtype), activation=activation)
    assert np.isnan(y[7]).all()
    assert np.isfinite(np.delete(y, 7, axis=0)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_do_not_depend_on_their_batch(dtype: Any) -> None:
    x, W, b = (
        normals(200, 600, dtype=dtype),
        normals(600, 70, dtype=dtype),
        normals(70, dtype=dtype),
    )
    whole = layers.dense(x, W, b, activation="gelu")
    for rows in (slice(0, 1), slice(5, 12), slice(95, 97), slice(100, 200)):
        assert np.array_equal(layers.dense(x[rows], W, b, activation="gelu"), whole[rows])


def test_philox_of_the_reference_is_random123s() -> None:
    """Known answers of Random123 1.14, and the core's own block function."""
    assert philox(0, 0, np.array([0]))[0].tolist() == [
        0x6627E8D5,
        0xE169C58D,
        0xBC57AC4C,
        0x9B00DBD8,
    ]
    seed, stream, block = 0x299F31D0A4093822, 0x0370734413198A2E, 0x85A308D3243F6A88
    assert philox(seed, stream, np.array([block], np.uint64))[0].tolist() == [
        0xD16CFE09,
        0x94FDCCEB,
        0x5001E420,
        0x24126EA1,
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 16), (97, 63), (17, 64), (33, 65), (9, 333)])
def test_dropout_is_its_definition(activation: str, shape: tuple[int, int], dtype: Any) -> None:
    rows, cols = shape
    x, W = normals(rows, 6, dtype=dtype), normals(6, cols, dtype=dtype)
    rng = fanin.random.Generator(seed=2**40 + 3, stream=2**33 + 1)
    got = layers.dense(x, W, activation=activation, keep=0.7, rng=rng)
    mask = dropout_mask(rng.seed, rng.stream, rows, cols, 0.7)
    plain = layers.dense(x, W, activation=activation)
    assert np.array_equal(got, np.where(mask, plain * dtype(1 / 0.7), dtype(0)))
    assert rng.position == rows * -(-cols // 64)


def test_dropout_draws_do_not_overlap_and_go_on() -> None:
    x, W = np.ones((10, 1)), np.ones((1, 100))
    rng = fanin.random.Generator(seed=5)
    rng.random(3)  # position 1: the mask begins at the next whole row of two groups
    first = layers.dense(x, W, keep=0.5, rng=rng)
    assert rng.position == 2 * (1 + 10)
    second = layers.dense(x, W, keep=0.5, rng=rng)
    assert rng.position == 2 * (1 + 20)
    both = dropout_mask(5, 0, 20, 100, 0.5, first_row=1) * 2.0
    assert np.array_equal(np.vstack([first, second]), both)


def test_dropout_of_rows_is_a_function_of_their_place() -> None:
    x, W = np.ones((200, 1)), np.ones((1, 130))
    whole = layers.dense(x, W, keep=0.3, rng=9)
    for n_threads in (1, 2, 3):
        assert np.array_equal(layers.dense(x, W, keep=0.3, rng=9, n_threads=n_threads), whole)
    assert np.array_equal(layers.dense(x[:50], W, keep=0.3, rng=9), whole[:50])


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(keep: float) -> None:
    y = layers.dense(np.ones((1000, 1)), np.ones((1, 640)), keep=keep, rng=1)
    assert set(np.unique(y)) == {0.0, 1 / keep}
    deviation = np.sqrt(keep * (1 - keep) / y.size)
    assert abs((y > 0).mean() - keep) < 5 * deviation
    assert abs(y.mean() - 1) < 5 * deviation / keep


def test_keep_one_draws_nothing() -> None:
    x, W = normals(5, 6), normals(6, 7)
    rng = fanin.random.Generator(seed=1)
    assert np.array_equal(layers.dense(x, W, keep=1.0, rng=rng), layers.dense(x, W))
    assert rng.position == 0


def test_dropout_without_rng_differs_from_call_to_call() -> None:
    x, W = np.ones((50, 1)), np.ones((1, 64))
    assert not np.array_equal(layers.dense(x, W, keep=0.5), layers.dense(x, W, keep=0.5))


@pytest.mark.parametrize("dtype", DTYPES)
def test_out_is_filled_and_returned(dtype: Any) -> None:
    x, W, b = normals(40, 33, dtype=dtype), normals(33, 21, dtype=dtype), normals(21, dtype=dtype)
    out = np.full((40, 21), np.nan, dtype)
    assert layers.dense(x, W, b, activation="tanh", out=out) is out
    assert np.array_equal(out, layers.dense(x, W, b, activation="tanh"))


def test_out_may_not_share_memory_with_an_input() -> None:
    x, W = np.ones((8, 8)), np.ones((8, 8))
    memory = np.ones((12, 8))
    b_memory = np.ones(16)
    for call, name in [
        (lambda: layers.dense(x, W, out=x), "x"),
        (lambda: layers.dense(x, W, out=W), "W"),
        (lambda: layers.dense(memory[:8], W, out=memory[4:]), "x"),
        (lambda: layers.dense(x[:1], W, b_memory[:8], out=b_memory[4:12].reshape(1, 8)), "b"),
    ]:
        with pytest.raises(ValueError, match=f"^out: expected an array apart from {name}"):
            call()
    assert (memory == 1).all()
    assert layers.dense(memory[:4], W, out=memory[4:8]).sum() == 8 * 32  # side by side is apart


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_backward_bits(shape: tuple[int, int, int], dtype: Any) -> None:
    """dx is one chain over the outputs, dW and db one over the rows, each from 0."""
    m, k, n = shape
    x, W = short_normals(m, k, dtype=dtype, seed=1), short_normals(k, n, dtype=dtype, seed=2)
    dout = short_normals(m, n, dtype=dtype, seed=4)
    db_expected = np.zeros(n, dtype)
    for row in dout:
        db_expected += row
    dx_expected = fma_product(dout, W.T, None)
    dW_expected = fma_product(x.T, dout, None)
    _, cache = layers.dense_forward(x, W, activation="identity")
    for n_threads in (1, 2, 3):
        dx, dW, db = layers.dense_backward(dout, cache, n_threads=n_threads)
        assert np.array_equal(dx, dx_expected)
        assert np.array_equal(dW, dW_expected)
        assert np.array_equal(db, db_expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_beside_a_product_stays_there(dtype: Any) -> None:
    """What a tile reads beyond its panel, or packs for the next one, is in nobody else's sum."""
    x, W = short_normals(40, 600, dtype=dtype), short_normals(600, 150, dtype=dtype, seed=1)
    whole = layers.dense(x, W, activation="identity")
    x[7], W[:, 63], W[:, 149] = np.nan, np.nan, np.nan
    got = layers.dense(x, W, activation="identity")
    rows, cols = np.delete(np.arange(40), 7), np.delete(np.arange(150), [63, 149])
    assert np.isnan(got[7]).all()
    assert np.isnan(got[:, [63, 149]]).all()
    assert np.array_equal(got[np.ix_(rows, cols)], whole[np.ix_(rows, cols)])


@pytest.mark.parametrize("offset", [0, 1, 4, 5, 8])
@pytest.mark.parametrize("n", [130, 32])  # rows of W may begin at one place of a cache line each
def test_bits_do_not_depend_on_alignment(offset: int, n: int) -> None:
    x, W, b = (short_normals(*s, dtype=np.float32) for s in [(31, 530), (530, n), (n,)])
    moved = []
    for a in (x, W, b, np.empty((31, n), np.float32)):
        memory = np.empty(a.size + 32, np.float32)
        start = -memory.ctypes.data // 4 % 16 + offset
        moved.append(memory[start:][: a.size].reshape(a.shape))
        moved[-1][...] = a
    for rows in (31, 1):  # one row is read up to a line of the cache, and from there on
        moved[3][...] = np.nan
        given = moved[0][:rows], *moved[1:3]
        got = layers.dense(*given, activation="identity", out=moved[3][:rows])
        assert np.array_equal(got, fma_product(x[:rows], W, b))


AT_THE_END = """
    import ctypes, mmap
    import numpy as np
    from fanin import layers

    libc, page = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE

    def ones(*shape):  # behind which no byte can be read
        count = int(np.prod(shape))
        pages = -(-4 * count // page)
        memory = mmap.mmap(-1, (pages + 1) * page)
        first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        assert not libc.mprotect(ctypes.c_void_p(first + pages * page), page, 0)
        array = np.frombuffer(memory, np.float32, count, pages * page - 4 * count)
        array[...] = 1
        return array.reshape(shape)

    for m, k, n in [(1, 7, 33), (3, 20, 130), (40, 530, 130), (40, 300, 261), (35, 66, 2)]:
        out, cache = layers.dense_forward(ones(m, k), ones(k, n), ones(n), activation="identity")
        assert (out == k + 1).all()
        dx, dW, db = layers.dense_backward(ones(m, n), cache)
        assert (dx == n).all() and (dW == m).all() and (db == m).all()
    print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forbids a page of memory")
def test_nothing_is_read_beyond_an_array(isa: str, run_isa: Any) -> None:
    assert run_isa(AT_THE_END, isa).strip() == "done"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_backward_multiplies_by_the_slope_once(activation: str, keep: float, dtype: Any) -> None:
    x, W, b = (normals(*s, dtype=dtype) for s in [(37, 19), (19, 67), (67,)])
    dout = normals(37, 67, dtype=dtype, seed=8)
    _, cache = layers.dense_forward(x, W, b, activation=activation, keep=keep, rng=3)
    dx, dW, db = layers.dense_backward(dout, cache)
    z = layers.dense(x, W, b, activation="identity").astype(np.float64)
    mask = dropout_mask(3, 0, 37, 67, keep) / keep
    dz = dout * SLOPES[activation](z) * mask
    bound = 400 * np.finfo(dtype).eps
    for got, expected in [(dx, dz @ W.T), (dW, x.T.astype(np.float64) @ dz), (db, dz.sum(axis=0))]:
        np.testing.assert_allclose(got, expected, rtol=0, atol=bound * np.abs(expected).max())


def test_need_dx_false_changes_nothing_else() -> None:
    x, W = normals(20, 30), normals(30, 40)
    _, cache = layers.dense_forward(x, W, activation="elu")
    dout = normals(20, 40)
    dx, dW, db = layers.dense_backward(dout, cache)
    none, dW_alone, db_alone = layers.dense_backward(dout, cache, need_dx=False)
    assert none is None
    assert dx is not None
    assert np.array_equal(dW, dW_alone)
    assert np.array_equal(db, db_alone)


def test_inputs_are_left_alone() -> None:
    arrays = x, W, b, dout = normals(9, 8), normals(8, 7), normals(7), normals(9, 7, seed=1)
    before = [a.tobytes() for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    _, cache = layers.dense_forward(x, W, b, activation="gelu", keep=0.5, rng=0)
    layers.dense_backward(dout, cache)
    assert [a.tobytes() for a in arrays] == before


ALL_KERNELS = """
    import hashlib
    import numpy as np
    from fanin import layers

    def normals(*shape, seed=0):
        # Multiples of 2**-20: the same on every machine, whatever its NumPy.
        draws = np.random.default_rng([seed, *shape]).integers(-2**21, 2**21, shape)
        return (draws * 2.0**-20).astype(dtype)

    digest = hashlib.sha256()
    for dtype in (np.float32, np.float64):
        shapes = [(1, 3, 1), (3, 40, 300)]
        shapes += [(33, 17, 65), (97, 513, 70), (130, 64, 200), (9, 70, 2050)]
        for m, k, n in shapes:
            x, W, b, dout = normals(m, k), normals(k, n, seed=1), normals(n), normals(m, n)
            for activation in layers.ACTIVATIONS:
                y, cache = layers.dense_forward(x, W / 8, b, activation=activation, keep=0.8, rng=1)
                for a in (y, *layers.dense_backward(dout, cache)):
                    digest.update(a.tobytes())
    print(digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set_and_thread_count(run_isa: Any) -> None:
    digests = {
        (isa, threads): run_isa(ALL_KERNELS, isa, threads=threads).strip()
        for isa in _core.supported_isas()
        for threads in (1, 2, 3)
    }
    assert len(set(digests.values())) == 1, digests
    assert len(next(iter(digests.values()))) == 2 * hashlib.sha256().digest_size


# A change of these breaks a promise: it is for a new version.
ACTIVATIONS_GOLDEN = {
    "identity": "dbd1ab8d7160af33",
    "relu": "61a98a77f3a1381f",
    "leaky_relu": "4c27480ae7939ae7",
    "elu": "682aa73123483a22",
    "gelu": "ded72f7c6cb9b179",
    "sigmoid": "bf7bb6f6584f69dc",
    "tanh": "5b046692f57e1bd7",
    "silu": "6553b241c9e174db",
    "mish": "8d1637632611e2ba",
    "softplus": "ea08614ed21d816c",
    "selu": "5b0538d78ac04dbd",
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_activation_has_one_hash(activation: str) -> None:
    """Of values and slopes, with dropout, at whole multiples of 2**-7."""
    digest = hashlib.sha256()
    for dtype in DTYPES:
        z = (np.arange(-2000, 1999) * 2.0**-7).astype(dtype).reshape(3, 1333)
        code = activation_code("activation", activation)
        for a in _core.activation_forward(z, code, 0.8, 1.25, 3, 5, 7, None, True, 0):
            digest.update(a.tobytes())
    assert digest.hexdigest()[:16] == ACTIVATIONS_GOLDEN[activation]
