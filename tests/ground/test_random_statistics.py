import math

import numpy as np
import pytest

from fanin.random import Generator


def ks_distance(x, cdf):
    x = np.sort(np.asarray(x, np.float64))
    exact = np.array([cdf(v) for v in x.tolist()])
    steps = np.arange(len(x) + 1) / len(x)
    return max((steps[1:] - exact).max(), (exact - steps[:-1]).max())


def normal_cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [0, 1])
def test_draws_follow_their_distributions(dtype, seed):
    n = 200_000
    limit = 1.95 / math.sqrt(n)  # exceeded once in a thousand
    g = Generator(seed)
    assert ks_distance(g.random(n, dtype), lambda v: v) < limit
    assert ks_distance(g.standard_normal(n, dtype), normal_cdf) < limit
    assert (
        ks_distance(g.normal(2.0, 3.0, n, dtype=dtype), lambda v: normal_cdf((v - 2) / 3)) < limit
    )
    assert ks_distance(g.uniform(-2.0, 5.0, n, dtype=dtype), lambda v: (v + 2) / 7) < limit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_moments_and_tails(dtype):
    n = 2**21
    x = Generator(11).standard_normal(n, dtype).astype(np.float64)
    # four standard errors each: var x^k over n
    for k, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs((x**k).mean() - moment) < 4 * math.sqrt(spread / n)
    for t in (1.0, 2.0, 3.0, 4.0):
        p = 2 * normal_cdf(-t)
        assert abs((abs(x) > t).mean() - p) < 4 * math.sqrt(p / n)
    assert 4.5 < abs(x).max() < 6.8


def test_uniform_stays_below_one_and_reaches_its_ends():
    for dtype in ("float32", "float64"):
        x = Generator(4).random(2**21, dtype)
        assert 0 <= x.min() < 1e-5
        assert 1 - 1e-5 < x.max() < 1
        assert abs(x.mean(dtype=np.float64) - 0.5) < 4 * math.sqrt(1 / 12 / x.size)
        assert abs(x.var(dtype=np.float64) - 1 / 12) < 4 * math.sqrt(1 / 180 / x.size)


def test_bernoulli_rates():
    n = 2**20
    for p in (1e-3, 0.25, 0.5, 0.9):
        hits = Generator(8).bernoulli(p, n)
        assert set(np.unique(hits).tolist()) == {0.0, 1.0}
        assert abs(hits.mean(dtype=np.float64) - p) < 4 * math.sqrt(p * (1 - p) / n)
    assert not Generator(8).bernoulli(0.0, n).any()
    assert Generator(8).bernoulli(1.0, n).all()


def chi_square(counts, expected):
    return float(((counts - expected) ** 2 / expected).sum())


def test_integers_are_even():
    counts = np.bincount(Generator(3).integers(10, size=100_000), minlength=10)
    assert chi_square(counts, 10_000) < 27.9  # 9 degrees of freedom, one in a thousand
    thirds = Generator(3).integers(0, 3 * 2**61, size=90_000) // 2**61
    assert chi_square(np.bincount(thirds, minlength=3), 30_000) < 13.8


def test_permutations_of_four_are_even():
    g = Generator(6)
    found = {}
    for _ in range(24_000):
        key = tuple(g.permutation(4).tolist())
        assert sorted(key) == [0, 1, 2, 3]
        found[key] = found.get(key, 0) + 1
    assert len(found) == 24
    assert chi_square(np.array(list(found.values())), 1000) < 49.7  # 23 degrees


def test_streams_seeds_children_and_neighbours_are_uncorrelated():
    n = 2**18
    spawned = Generator(1).spawn(2)
    sources = [Generator(1), Generator(1, 1), Generator(1, 2**55), Generator(2), Generator(2**63)]
    x = np.stack([g.standard_normal(n) for g in [*sources, *spawned]]).astype(np.float64)
    limit = 4.5 / math.sqrt(n)
    for y in (x, x**2 - 1):  # squares too: Box-Muller's pairs share a radius
        apart = np.corrcoef(y) - np.eye(len(y))
        assert abs(apart).max() < limit
        for lag in (1, 8, 16, 32, 48, 64):
            assert abs((y[:, lag:] * y[:, :-lag]).mean(axis=1) / y.var(axis=1)).max() < limit
