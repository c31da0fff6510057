import copy
import hashlib
import math
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from children import printed_by

from fanin import _core
from fanin.random import Generator, as_generator, package_generator

SIZES = [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 333]
SEED, STREAM = 0x0123456789ABCDEF, 0x00FEDCBA98765432
LOW32 = np.uint64(0xFFFFFFFF)


def philox_reference(seed, stream, blocks):
    """Philox4x32-10 in NumPy's uint64: (n,) block numbers to (n, 4) words."""
    half = np.uint64(32)
    blocks = np.asarray(blocks, np.uint64)
    c0, c1 = blocks & LOW32, blocks >> half
    c2 = np.full_like(blocks, stream & 0xFFFFFFFF)
    c3 = np.full_like(blocks, stream >> 32)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (p1 >> half) ^ c1 ^ np.uint64(k0), p1 & LOW32
        c2, c3 = (p0 >> half) ^ c3 ^ np.uint64(k1), p0 & LOW32
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1)


def groups_reference(first, count, seed=SEED, stream=STREAM):
    """Words of whole groups as (group, word, lane)."""
    blocks = np.arange(first * 16, (first + count) * 16, dtype=np.uint64)
    return philox_reference(seed, stream, blocks).reshape(count, 16, 4).transpose(0, 2, 1)


def pairs53(words):
    """The 53-bit draws of words (0, 1) and (2, 3): (group, 2, lane)."""
    return (words[:, 1::2] << np.uint64(21)) | (words[:, 0::2] >> np.uint64(11))


def uniform_reference(words, dtype):
    if dtype == np.float32:
        return ((words >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)).ravel()
    return (pairs53(words) * 2.0**-53).ravel()


def normal_reference(words, dtype):
    """In float64 from the very u and angle that the kernel has."""
    if dtype == np.float32:
        rounded = words.astype(np.float32).astype(np.float64)
        unit = (rounded * 2.0**-32 + 2.0**-33).astype(np.float32).astype(np.float64)
    else:
        unit = pairs53(words) * 2.0**-53 + 2.0**-54
    radius, angle = np.sqrt(-2 * np.log(unit[:, 0::2])), 2 * np.pi * unit[:, 1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2).ravel()


def filled(distribution, n, dtype, first=0, a=0.0, b=1.0, n_threads=0):
    out = np.full(n, np.nan, dtype)
    _core.random_fill(out, distribution, SEED, STREAM, first, a, b, n_threads)
    return out


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000",
         "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
         "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
         "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)  # fmt: skip
def test_philox_gives_the_published_vectors(counter, key, expected):
    counter, key, expected = ([int(w, 16) for w in t.split()] for t in (counter, key, expected))
    assert list(_core.philox(key, counter)) == expected
    seed, stream, block = key[0] | key[1] << 32, counter[2] | counter[3] << 32, counter[:2]
    ours = philox_reference(seed, stream, [block[0] | block[1] << 32])
    assert ours[0].tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("first", [0, 1, 2**28 - 1, 2**60 - 3])
def test_vector_words_are_philox_words(dtype, first):
    """Also across the carry into the block's high word; float64 draws show 53 of each 64 bits."""
    n = 3 * (64 if dtype == np.float32 else 32)
    expected = uniform_reference(groups_reference(first, 3), dtype)
    assert np.array_equal(filled("uniform", n, dtype, first), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", SIZES)
def test_distributions_match_their_definitions(dtype, n):
    words = groups_reference(5, 11)
    uniform = uniform_reference(words, dtype)[:n]
    assert np.array_equal(filled("uniform", n, dtype, 5), uniform)
    scaled = (uniform.astype(np.float64) * 4 - 1).astype(dtype)  # one rounding, as an fma's
    assert np.array_equal(filled("uniform", n, dtype, 5, -1.0, 4.0), scaled)
    for p in (0.0, 1e-12, 0.25, 0.7, 1.0):
        expected = (words.ravel() < np.uint64(math.floor(p * 2**32 + 0.5)))[:n]
        assert np.array_equal(filled("bernoulli", n, dtype, 5, p), expected)
    tolerance = 1e-6 if dtype == np.float32 else 2e-14
    normal = normal_reference(words, dtype)[:n]
    np.testing.assert_allclose(filled("normal", n, dtype, 5), normal, tolerance, tolerance)
    np.testing.assert_allclose(
        filled("normal", n, dtype, 5, -3.0, 0.5), normal / 2 - 3, tolerance, tolerance
    )


def test_normals_are_exact_over_many_draws():
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 2e-14)):
        n = 4000 * (64 if dtype == np.float32 else 32)
        expected = normal_reference(groups_reference(0, 4000), dtype)
        np.testing.assert_allclose(filled("normal", n, dtype), expected, tolerance, tolerance)


@pytest.mark.parametrize("distribution", ["uniform", "normal", "bernoulli"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_length_change_no_draw(distribution, dtype):
    whole = filled(distribution, 200_003, dtype, 7, 0.3, 0.5, 1)
    for n_threads in (2, 3):
        assert np.array_equal(filled(distribution, 200_003, dtype, 7, 0.3, 0.5, n_threads), whole)
    for n in SIZES:
        assert np.array_equal(filled(distribution, n, dtype, 7, 0.3, 0.5), whole[:n])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fill_writes_its_array_and_nothing_else(dtype):
    for n in SIZES:
        room = np.full(n + 40, -5, dtype)
        _core.random_fill(room[20 : 20 + n], "uniform", 1, 2, 3, 0.0, 1.0)
        assert (room[:20] == -5).all()
        assert (room[20 + n :] == -5).all()
        assert (room[20 : 20 + n] >= 0).all()


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (0, 10), (-3, 4), (0, 2**40 + 7), (-(2**63), 2**63), (0, 2**63), (-1, 2**63 - 1)],
)
def test_integers_match_exact_arithmetic(low, high):
    g = Generator(SEED, STREAM)
    g.random(64)
    got = g.integers(low, high, size=333).tolist()
    for i, words in enumerate(philox_reference(SEED, STREAM, np.arange(16, 16 + 333)).tolist()):
        x = sum(w << (32 * k) for k, w in enumerate(words))
        assert got[i] == low + ((high - low) * x >> 128)


def test_integers_do_not_depend_on_threads():
    def draw(n_threads):
        out = np.empty(20_011, np.int64)
        _core.random_integers(out, SEED, STREAM, 5, -7, 1000, n_threads)
        return out

    assert np.array_equal(draw(1), draw(2))
    assert np.array_equal(draw(1), draw(3))


@pytest.mark.parametrize("n", [0, 1, 2, 17, 333])
def test_permutation_is_fisher_yates(n):
    g = Generator(SEED, STREAM)
    g.random(65)
    expected = list(range(n))
    words = philox_reference(SEED, STREAM, np.arange(32, 32 + n)).tolist()
    for i in range(n - 1, 0, -1):
        j = (i + 1) * sum(w << (32 * k) for k, w in enumerate(words[i])) >> 128
        expected[i], expected[j] = expected[j], expected[i]
    assert g.permutation(n).tolist() == expected
    assert g.position == 2 + -(-n // 16)


def batch_of_draws():
    """Some of everything, as bytes."""
    g = Generator(SEED, STREAM)
    draws = [
        call(1000 + 37 * i, dtype=dtype)
        for i, dtype in enumerate(["float32", "float64"] * 8)
        for call in (
            g.random,
            g.standard_normal,
            lambda n, dtype: g.normal(0.1, 3.7, n, dtype=dtype),
            lambda n, dtype: g.uniform(-0.3, 1.9, n, dtype=dtype),
            lambda n, dtype: g.bernoulli(0.37, n, dtype=dtype),
        )
    ]
    return b"".join(d.tobytes() for d in [*draws, g.integers(-5, 1000, 999), g.permutation(777)])


def test_every_instruction_set_gives_the_same_bits():
    code = (
        "import hashlib, test_random as t; from fanin import _core;"
        "print(_core.isa(), hashlib.sha256(t.batch_of_draws()).hexdigest())"
    )
    expected = hashlib.sha256(batch_of_draws()).hexdigest()
    for isa in _core.supported_isas():
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        env = {**os.environ, "FANIN_ISA": isa, "PYTHONPATH": path}
        assert printed_by(code, env=env).split() == [isa, expected]


@pytest.mark.parametrize(
    ("call", "digest"),
    [
        (lambda g: g.random(1000), "a3cd15ee2d97881e"),
        (lambda g: g.random(1000, dtype="float64"), "c178b91426eb9674"),
        (lambda g: g.bernoulli(0.3, 1000), "315689058d644a01"),
        (lambda g: g.integers(0, 10**6, 1000), "1bfe1b8d5800b753"),
        (lambda g: g.permutation(1000), "90e771ff2202a0c4"),
        (lambda g: g.standard_normal(1000), "0c7c6f7af3e49288"),
        (lambda g: g.standard_normal(1000, dtype="float64"), "0edd6497ac6be2e5"),
    ],
    ids=["f32", "f64", "bernoulli", "integers", "permutation", "normal32", "normal64"],
)
def test_draws_never_change_between_versions(call, digest):
    draws = call(Generator(seed=2024, stream=3))
    assert hashlib.sha256(draws.tobytes()).hexdigest()[:16] == digest


def test_position_counts_whole_groups():
    g = Generator(5, 9)
    for draw, groups in [
        (lambda: g.random(), 1),
        (lambda: g.random(64), 1),
        (lambda: g.random(65), 2),
        (lambda: g.random(33, "float64"), 2),
        (lambda: g.standard_normal((2, 32), "float64"), 2),
        (lambda: g.bernoulli(0.5, 64, dtype="float64"), 1),
        (lambda: g.integers(3, size=17), 2),
        (lambda: g.permutation(16), 1),
        (lambda: g.random(0), 0),
        (lambda: g.spawn(3), 1),
    ]:
        before = g.position
        draw()
        assert g.position == before + groups


def test_state_takes_a_generator_back():
    g = Generator(5, 9)
    g.standard_normal(1000)
    state = g.state
    assert state == {"seed": 5, "stream": 9, "position": 16}
    expected = g.standard_normal(100)
    other = Generator()
    other.state = state
    assert np.array_equal(other.standard_normal(100), expected)
    for twin in (copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
        assert twin.state == g.state
        assert np.array_equal(twin.random(9), copy.copy(g).random(9))
    assert repr(g) == "Generator(seed=5, stream=9, position=18)"


def test_one_draw_is_a_python_number():
    g = Generator(1)
    kinds = [type(v) for v in (g.random(), g.uniform(), g.standard_normal(), g.normal(3, 2))]
    assert kinds == [float] * 4
    assert type(g.integers(7)) is int
    assert g.bernoulli(1.0) == 1.0
    assert Generator(1).random() == float(Generator(1).random(5)[0])
    assert np.array_equal(Generator(1).random(()), Generator(1).random(1)[0])


def test_shapes_dtypes_and_out():
    for dtype in (np.float32, np.float64):
        expected = Generator(2).normal(1, 2, (3, 5, 7), dtype=dtype)
        assert expected.shape == (3, 5, 7)
        assert expected.dtype == dtype
        out = np.empty((3, 5, 7), dtype)
        assert Generator(2).normal(1, 2, out=out) is out
        assert np.array_equal(out, expected)
        assert Generator(2).normal(1, 2, (3, 5, 7), out=out) is out
    whole = np.empty((2, 3), np.int64)
    assert Generator(2).integers(9, out=whole) is whole
    assert np.array_equal(whole.ravel(), Generator(2).integers(9, size=6))
    assert Generator(2).random(out=np.empty(())).shape == ()


def test_permutation_of_arrays_moves_whole_rows():
    x = np.arange(60, dtype=np.uint8).reshape(20, 3)
    kept = x.copy()
    order = Generator(4).permutation(20)
    assert np.array_equal(Generator(4).permutation(x), x[order])
    assert np.array_equal(x, kept)
    assert Generator(4).permutation(list("abc")).tolist() == [
        "abc"[i] for i in Generator(4).permutation(3)
    ]


def test_as_generator():
    g = Generator(3)
    assert as_generator(g) is g
    assert as_generator(np.int32(7)).state == Generator(7).state
    assert as_generator(None).seed != as_generator(None).seed
    for make in (np.random.default_rng, np.random.RandomState):
        source = make(5)
        first, second = as_generator(source), as_generator(source)
        assert first.seed == as_generator(make(5)).seed
        assert first.seed != second.seed


def test_package_streams_are_apart_from_users():
    streams = {
        package_generator(1, purpose, layer, step).stream
        for purpose in (
            "init",
            "dropout",
            "shuffle",
            "replacement",
            "augment",
            "search",
            "drop_connect",
        )
        for layer in (0, 1, 255)
        for step in (0, 1, 2**40 - 1)
    }
    assert len(streams) == 63
    assert min(streams) >= 2**56
    assert package_generator(9, "shuffle").seed == 9
    with pytest.raises(ValueError, match=r"purpose: expected one of user, init.*got 'x'"):
        package_generator(1, "x")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Generator(-1), ValueError, "seed: expected an int from 0 to .*615, got -1"),
        (lambda: Generator(2**64), ValueError, "seed: .*got 18446744073709551616"),
        (lambda: Generator(1.0), TypeError, "seed: expected an int, got float"),
        (lambda: Generator(True), TypeError, "seed: expected an int, got bool"),
        (lambda: Generator(np.True_), TypeError, "seed: expected an int, got bool"),
        (lambda: Generator(0, 2**56), ValueError, "stream: .*got 72057594037927936"),
        (lambda: as_generator("x"), TypeError, "rng: expected None, an int, .*got str"),
        (lambda: as_generator(True), TypeError, "rng: expected an int, got bool"),
        (lambda: as_generator(-1), ValueError, "rng: expected an int from 0"),
    ],
)  # fmt: skip
def test_errors_of_making_one(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: g.random(-1), ValueError, "size: .*got -1"),
        (lambda g: g.random((3, -2)), ValueError, "size: .*got -2"),
        (lambda g: g.random(2.5), TypeError, "size: expected an int, got float"),
        (lambda g: g.random((2.5,)), TypeError, "size: expected an int, got float"),
        (lambda g: g.random(3, "int32"), TypeError, "dtype: expected float32 or .*got int32"),
        (lambda g: g.random(3, ">f4"), TypeError, "dtype: expected float32 or .*got >f4"),
        (lambda g: g.random(out=np.zeros(3, "i4")), TypeError, "out: expected .*got int32"),
        (lambda g: g.random(out=[1.0]), TypeError, "out: expected an array, got list"),
        (lambda g: g.random(4, out=np.zeros(3)), ValueError, r"out: .*\(4,\) of size, got \(3,\)"),
        (lambda g: g.random(out=np.zeros(9)[::2]), ValueError, "out: .*C-contiguous"),
        (lambda g: g.random(out=np.zeros((3, 4)).T), ValueError, "out: .*C-contiguous"),
        (lambda g: g.random(out=np.broadcast_to(0.0, 1)), ValueError, "out: .*read-only"),
        (lambda g: g.random(out=np.ma.zeros(3)), TypeError, "out: .*masked"),
        (lambda g: g.bernoulli(1.5), ValueError, r"p: expected .* in \[0, 1\], got 1.5"),
        (lambda g: g.bernoulli(-0.1), ValueError, r"p: expected .* in \[0, 1\], got -0.1"),
        (lambda g: g.bernoulli(math.nan), ValueError, "p: expected a finite number, got nan"),
        (lambda g: g.uniform(1, 1), ValueError, "high: .* above low = 1.0, got 1.0"),
        (lambda g: g.uniform(0, math.inf), ValueError, "high: expected a finite .*got inf"),
        (lambda g: g.uniform(-3e38, 3e38), ValueError, "uniform: .* within float32"),
        (lambda g: g.uniform("a"), TypeError, "low: expected a number, got str"),
        (lambda g: g.normal(0, -1), ValueError, "scale: .*at least 0, got -1.0"),
        (lambda g: g.integers(0), ValueError, "low, high: .*low < high, got 0, 0"),
        (lambda g: g.integers(5, 5), ValueError, "got 5, 5"),
        (lambda g: g.integers(5, 4, endpoint=True), ValueError, "low <= high, got 5, 4"),
        (lambda g: g.integers(0, 2**63, endpoint=True), ValueError, "low, high: "),
        (lambda g: g.integers(0, 2**64), ValueError, "high: expected an int from"),
        (lambda g: g.integers(1.5), TypeError, "low: expected an int, got float"),
        (lambda g: g.integers(9, out=np.zeros(3)), TypeError, "out: .*int64, got .*float64"),
        (lambda g: g.integers(9, out=[1]), TypeError, "out: expected an array, got list"),
        (lambda g: g.permutation(-1), ValueError, "x: expected an int from 0"),
        (lambda g: g.permutation(1.5), TypeError, "x: expected an int, got float"),
        (lambda g: g.spawn(-1), ValueError, "n: "),
        (lambda g: setattr(g, "state", {"seed": 1}), ValueError, "state: expected a dict"),
        (lambda g: setattr(g, "state", None), ValueError, "state: expected a dict"),
        (lambda g: setattr(g, "state", {**g.state, "position": -1}), ValueError, "position"),
    ],
)  # fmt: skip
def test_errors_name_the_argument_and_draw_nothing(call, error, message):
    g = Generator(1)
    with pytest.raises(error, match=message):
        call(g)
    assert g.state == Generator(1).state
