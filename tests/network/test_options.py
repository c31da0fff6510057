"""The lists of options say what there is, and no more."""

import inspect

import fanin
from fanin.network.options import FIT_OPTIONS, NETWORK_OPTIONS, SEARCHABLE_FIT_OPTIONS


def test_the_network_options_are_the_constructors_arguments() -> None:
    arguments = [*inspect.signature(fanin.MLP).parameters]
    assert ["dims", *NETWORK_OPTIONS, "seed", "classes"] == arguments
    # What is not given stays out of files, which then are as before there was the argument.
    later = {"label_smoothing", "temperature", "huber_delta", "quantiles", "compute", "classes"}
    assert set(fanin.MLP([2, 3, 2]).config()) == set(arguments) - later


def test_the_fit_options_are_the_methods_arguments() -> None:
    assert ["self", "X", "y", *FIT_OPTIONS] == [*inspect.signature(fanin.MLP.fit).parameters]


def test_a_search_may_vary_these_options_of_fit_and_no_others() -> None:
    assert set(FIT_OPTIONS) - set(SEARCHABLE_FIT_OPTIONS) == {
        "validation_data",
        "initial_epoch",
        "sample_weight",
        "standardize_targets",
        "metrics",
        "callbacks",
        "checkpoint",
        "resume",
        "every",
        "checkpoint_on_signal",
        "progress",
        "n_threads",
    }
