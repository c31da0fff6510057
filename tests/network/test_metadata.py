"""Facts that go with a network into its file."""

import pickle

import numpy as np
import pytest

import fanin

FACTS = {"class_names": ["00501", "ü"], "target_mean": 1 / 3, "columns": None, "n": {"a": [1, 2]}}


def test_they_are_in_the_file_and_in_copies(tmp_path):
    net = fanin.MLP([3, 2])
    net.metadata = FACTS
    net.save(tmp_path / "net")
    for other in (fanin.MLP.load(tmp_path / "net"), net.copy(), pickle.loads(pickle.dumps(net))):
        assert other.metadata == FACTS
        other.metadata["n"]["a"].append(3)
    assert net.metadata["n"]["a"] == [1, 2]


def test_without_any_the_file_is_as_before(tmp_path):
    net = fanin.MLP([3, 2])
    assert net.metadata == {}
    net.save(tmp_path / "net")
    header, _ = fanin.checkpoint.load_archive(tmp_path / "net", kind="network")
    assert "metadata" not in header
    assert fanin.MLP.load(tmp_path / "net").metadata == {}


@pytest.mark.parametrize(
    "facts",
    ["text", ["a"], {"a": np.zeros(2)}, {"a": float("nan")}, {1: "a"}, {"a": (1, 2)}, {"a": {1}}],
)
def test_what_a_file_would_not_give_back_is_refused(tmp_path, facts):
    net = fanin.MLP([3, 2])
    net.metadata = facts
    with pytest.raises((TypeError, ValueError), match="metadata: expected a dict of JSON values"):
        net.save(tmp_path / "net")
    assert not (tmp_path / "net").exists()
