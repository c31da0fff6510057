"""The augmentation's rows of the benchmarks: each peer's answer, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
pytest.importorskip("benchmarks.jobs", reason="no benchmarks beside the tests")

from benchmarks.jobs import Augmented, Crop, Mix, ResizedCrop, Row, TrainImages, Warp
from benchmarks.jobs.augment import ROWS
from benchmarks.tables import Result

import fanin
from benchmarks import images, measuring, peers
from benchmarks import worker as workers

JITTER = (0.4, 0.4, 0.4, 0.1)
JOBS = {
    "crop": Crop(True, count=13, size=17, padding=3),
    "crop-bytes": Crop(False, count=13, size=17, padding=3),
    "resize": ResizedCrop(False, None, 5, 63, 81, 24),
    "resize-antialias": ResizedCrop(True, None, 5, 63, 81, 24),
    "jitter": ResizedCrop(False, JITTER, 5, 63, 81, 24),
    "jitter-antialias": ResizedCrop(True, JITTER, 5, 63, 81, 24),
    "affine": Warp(count=5, size=33),
    "mixup": Mix("mixup", count=13, size=17, classes=5),
    "cutmix": Mix("cutmix", count=13, size=17, classes=5),
}
PEERS = ["fanin", "NumPy", "PyTorch", "torchvision", "OpenCV", "Albumentations", "Numba"]
TRAINING = TrainImages(True, hidden=16, batch=50, rows=400)


@pytest.fixture(autouse=True)
def settings_of_the_process():
    """What peers are configured to must not reach the tests that follow."""
    threads = fanin.get_num_threads()
    yield
    fanin.set_num_threads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


def prepared(name, job):
    """A peer's, or a skip; libraries warn of much when imported."""
    if name in peers.installed()[1]:
        pytest.skip(f"{name} is not installed")
    peer = peers.load(name)
    peer.configure(1)
    make = peer.JOBS.get(type(job))
    ready = make(job) if make else None
    if ready is None:
        pytest.skip(f"{name} has no such job")
    return ready


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("kind", list(JOBS))
@pytest.mark.filterwarnings("ignore")
def test_each_installed_peer_gives_the_right_answer(name, kind):
    run, answer = prepared(name, JOBS[kind])
    for _ in range(3):
        run()
        said = JOBS[kind].check(answer())
    assert said == "shape and dtype" or said.startswith("largest mean error")
    assert (said == "shape and dtype") == (answer().drawn is None)


@pytest.mark.parametrize("name", ["fanin", "PyTorch"])
@pytest.mark.filterwarnings("ignore")
def test_training_on_images_learns(name, monkeypatch):
    monkeypatch.delenv("FANIN_CIFAR10", raising=False)
    run, answer = prepared(name, TRAINING)
    for _ in range(15):
        run()
    assert TRAINING.check(answer()).startswith("test accuracy")
    with pytest.raises(ValueError, match="did not learn"):
        TRAINING.check(np.zeros_like(answer()))


def test_fanin_does_every_job_and_the_rows_are_named_after_their_family():
    assert {type(row.job) for row in ROWS} <= set(peers.load("fanin").JOBS)
    assert all(row.name.startswith("augment-") for row in ROWS)
    assert {row.name.removeprefix("augment-") for row in ROWS} == {*JOBS, "epoch"}


def right_answer(kind):
    _, answer = prepared("fanin", JOBS[kind])
    found = answer()
    return found._replace(out=found.out.copy())


@pytest.mark.parametrize("kind", list(JOBS))
def test_a_wrong_answer_is_refused(kind):
    job, right = JOBS[kind], right_answer(kind)
    job.check(right)
    for out in (right.out[:-1], right.out.astype("f8"), np.roll(right.out, 1, axis=0)):
        with pytest.raises(ValueError, match="wrong"):
            job.check(right._replace(out=out))
    if right.labels is not None:
        with pytest.raises(ValueError, match="wrong: largest error of a label"):
            job.check(right._replace(labels=right.labels[::-1]))


def test_what_is_drawn():
    rng = np.random.default_rng(0)
    top, left, height, width = images.boxes(rng, 20_000, 375, 500).T
    assert top.min() == left.min() == 0
    assert (top + height).max() <= 375
    assert (left + width).max() <= 500
    share = height * width / (375 * 500)
    assert 0.079 < share.min() < 0.09
    assert 0.4 < share.mean() < 0.5  # of the large ones most do not fit
    assert np.abs(np.log(width / height)).max() < np.log(4 / 3) + 0.02
    drawn = Mix("cutmix").draw(rng)
    top, left, bottom, right = drawn["box"]
    assert drawn["lambda"] == 1 - (bottom - top) * (right - left) / 32**2


def test_references_leave_alone_what_nothing_happens_to():
    (image,) = images.photographs(1, 21, 34)
    assert np.array_equal(images.resized(image[:21, :21], 21, antialias=True), image[:21, :21])
    identity = np.eye(2, 3)
    assert np.array_equal(images.warped(image, identity), image)
    values = image.astype(np.float64)
    unchanged = images.jittered(values, np.array([1.0, 1.0, 1.0, 0.0]), np.arange(4))
    np.testing.assert_allclose(unchanged, values, atol=1e-9)
    turned = images.jittered(values, np.array([1.0, 1.0, 1.0, 1 / 3]), np.array([3]))
    np.testing.assert_allclose(turned, np.roll(values, 1, axis=2), atol=1e-9)


def test_a_map_moves_the_image_by_the_translation():
    (image,) = images.photographs(1, 20, 20)
    none = np.zeros(1)
    (shift,) = images.inverse_maps(none, np.array([[3.0, -2.0]]), none + 1, none, 20, 20)
    moved = images.warped(image, shift)
    np.testing.assert_allclose(moved[:18, 3:], image[2:, :17], atol=1e-9)
    assert not moved[18:].any()
    assert not moved[:, :3].any()


def test_a_peer_may_pass_and_memcpy_is_a_roof():
    session = workers.Session("NumPy", 1)
    assert session.prepare("augment-crop-bytes") is True
    assert session.copy() > 0
    session.peer = SimpleNamespace(JOBS={Crop: lambda job: None})  # noqa: ARG005
    assert session.prepare("augment-crop-bytes") is False
    row = Row("crop", "crop", "us", JOBS["crop-bytes"])
    result = Result(row, {"fanin": 2e-6}, details={"copies": [1e-6, 1.5e-6, 9e-6]})
    assert measuring.with_roof(result, {}).share() == pytest.approx(0.75)


def test_threads_of_a_team_share_the_work():
    from benchmarks.peers.shared import Team

    for threads in (1, 2, 3):
        done = []
        Team(threads).each(done.extend, 7)
        assert sorted(done) == list(range(7))


def test_an_answer_without_parameters_is_judged_by_its_shape():
    job = JOBS["affine"]
    assert job.check(Augmented(job.images, None)) == "shape and dtype"
