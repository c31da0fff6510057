"""What the lecture claims, in the numbers of its chapters on digits."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from fanin.chapters import optimizers
from fanin.document.blocks import Table

pytestmark = pytest.mark.row("B7")


def table(chapter, begins):
    """The rows of the table whose caption begins so, by their first cell."""
    (rows,) = [rows for caption, rows in chapter.tables.items() if caption.startswith(begins)]
    return {row[0]: row[1:] for row in rows}


def share(cell):
    return float(cell.removesuffix(" %"))


def test_whitening_costs_accuracy_on_images(on_digits):
    rows = table(on_digits("preprocessing"), "Epochs until")
    assert share(rows["whitened"][-1]) < share(rows["normalised"][-1])


@pytest.mark.row("I1")
def test_small_numbers_matter_less_in_a_small_network(on_digits):
    (told,) = [text for text in on_digits("init").chapter.blocks if "one\nhidden layer" in str(text)
               or "one hidden layer" in str(text)]  # fmt: skip
    small, xavier = map(float, re.findall(r"([\d.]+) % ", told.replace("%,", "% ,"))[:2])
    deep = table(on_digits("init"), "Five initialisations")
    lost = share(deep["Xavier with tanh"][-1]) - share(deep[next(iter(deep))][-1])
    assert lost > 10
    assert xavier - small < lost / 3


@pytest.mark.row("S1")
def test_a_small_rate_hardly_moves_and_a_large_one_leads_away(on_digits):
    small, right, large = table(on_digits("sgd"), "Three learning rates").values()
    assert float(small[1]) > 0.95 * float(small[0])
    assert float(right[1]) < 0.1 * float(right[0])
    assert float(large[0]) > 100  # times the loss of guessing
    assert share(right[2]) > 90 > share(small[2]) > share(large[2])


@pytest.mark.row("S2")
def test_a_minibatch_estimates_the_loss_and_its_direction(on_digits):
    chapter = on_digits("sgd")
    (caption,) = [one for one in chapter.tables if one.startswith("A network before training")]
    whole = float(re.search(r"is (\d\.\d{4}):", caption)[1])
    rows = [[float(cell.rstrip("°")) for cell in row[1:]] for row in chapter.tables[caption]]
    for mean, off, expected, _ in rows:
        assert abs(mean - whole) < 4 * expected / 200**0.5 + 1e-4
        assert off == pytest.approx(expected, rel=0.2, abs=1e-4)  # of 200 draws, 4 sigma
    angles = [angle for *_, angle in rows]
    assert angles == sorted(angles, reverse=True)
    assert angles[0] > 45
    assert angles[-1] == 0


@pytest.mark.row("S4")
def test_many_steps_that_are_not_exact_come_further(on_digits):
    rows = table(on_digits("sgd"), "One epoch over")
    after = [float(row[-1]) for row in rows.values()]
    assert after == sorted(after)
    assert after[0] < 0.2 * after[-1]


@pytest.mark.row("O1")
def test_momentum_keeps_going_and_adagrads_rates_fall():
    tables = {
        block.caption: block.rows for block in optimizers._rules() if isinstance(block, Table)
    }
    told = SimpleNamespace(tables=tables)
    ends = {rho: row[0] for rho, row in table(told, "Beale's function at a").items()}
    assert ends["0"].endswith("after 400")  # SGD is not there yet
    assert int(ends["0.9"].removeprefix("arrives after ")) < 100
    assert ends["0.99"].startswith("leaves the picture")
    rates = np.array([[float(one) for one in row] for row in table(told, "AdaGrad's").values()])
    assert (np.diff(rates, axis=0) <= 0).all()
    assert (rates[-1] < 0.95 * rates[0]).all()
    assert rates[0, 0] != rates[0, 1]  # each parameter has its own


@pytest.mark.row("R0")
def test_other_weights_have_the_same_loss(on_digits):
    trained, turned, scaled = table(on_digits("regularization"), "Three networks").values()
    assert min(float(turned[0]), float(scaled[0])) > 10  # far from the first
    assert float(turned[1]) == pytest.approx(float(trained[1]), abs=2e-6)
    assert scaled[1] == trained[1]  # a factor of four is exact
    assert float(scaled[2]) > 2 * float(trained[2])


@pytest.mark.row("R8")
def test_dropouts_masks_are_an_ensemble(on_digits):
    rows = table(on_digits("dropout"), "Accuracy on 360")
    mean, best, together, prediction = (share(row[0]) for row in rows.values())
    assert together > mean + 3
    assert together > best
    assert abs(prediction - together) < 2


@pytest.mark.row("R0")
def test_l2_makes_weights_smaller_and_test_rows_better(on_digits):
    chapter = on_digits("regularization")
    moons = list(table(chapter, "The same networks").values())
    assert moons == sorted(moons, key=lambda row: -float(row[0]))
    assert share(moons[0][1]) > share(moons[-1][1])  # less by heart
    assert share(moons[0][2]) < share(moons[-1][2])  # and better on fresh points
    digits = table(chapter, "After 60 epochs")
    assert share(digits["0.01"][-1]) > share(digits["0"][-1]) + 2


def test_all_six_ensembles_do_no_worse_than_their_mean_member(on_digits):
    rows = table(on_digits("ensembles"), "Accuracy on 360")
    assert [name[:3] for name in rows] == [f"({i})" for i in range(1, 7)]
    gains = {name: share(row[3]) - share(row[1]) for name, row in rows.items()}
    assert min(gains.values()) >= 0
    assert gains["(3) datasets (bootstrap)"] > 2


@pytest.mark.row("A1")
def test_augmentation_helps_where_images_move(on_digits):
    rows = table(on_digits("augmentation"), "After 40 epochs")
    (none, moves) = ([share(cell) for cell in row] for row in rows.values())
    assert moves[1] > none[1] + 20  # on images that were moved
    assert moves[3] < none[3]  # and not on those as they are


@pytest.mark.row("A6")
def test_cutout_mixup_and_cutmix_leave_wrong_labels_unlearned(on_digits):
    rows = table(on_digits("mixing"), "After 60 epochs")
    assert list(rows) == ["none", "Cutout", "Mixup", "CutMix"]
    by_heart, test = ({name: share(row[i]) for name, row in rows.items()} for i in (0, 1))
    for name in list(rows)[1:]:
        assert by_heart[name] < by_heart["none"]
        assert test[name] > test["none"] + 2


def test_dropconnect_as_dropout_is_against_overfitting(on_digits):
    rows = table(on_digits("dropconnect"), "After 60 epochs")
    plain, dropout, dropconnect = (share(row[1]) for row in rows.values())
    assert min(dropout, dropconnect) > plain + 2


# tuning


@pytest.mark.row("T2")
def test_random_search_beats_the_grid(on_digits):
    rows = table(on_digits("tuning"), "The best of each")
    assert rows["grid"][:2] == ("3", "3")
    assert rows["random, as drawn"][:2] == ("9", "9")
    grid, drawn, mean = (share(row[-1]) for row in rows.values())
    assert drawn > grid + 5
    assert mean > grid + 5  # not by luck


@pytest.mark.row("T4")
@pytest.mark.row("T5")
def test_the_best_at_the_edge_and_what_lies_beyond(on_digits):
    coarse, fine, edge, wider = (
        text for text in on_digits("tuning").lines if text.startswith(("val_acc", "lr: the best"))
    )
    line = r"val_acc: (0\.\d{6}), lr: (\S+e-\d\d), reg: \S+e[+-]\d\d, \(\d+ / 100\)( <- best)?"
    best = []
    for text in (coarse, fine, wider):
        found = [re.fullmatch(line, one) for one in text.splitlines() if one != "..."]
        assert all(found)
        (chosen,) = [one for one in found if one[3]]
        assert float(chosen[1]) == max(float(one[1]) for one in found)
        best.append((float(chosen[1]), float(chosen[2])))
    (_, _), (fine_best, fine_rate), (beyond, rate) = best
    assert "at the upper end of 0.0001 ... 0.001" in edge
    assert fine_rate <= 1e-3 < rate
    assert beyond > fine_best + 0.1


@pytest.mark.row("G3")
def test_four_rates_for_a_hundred_iterations(on_digits):
    (text,) = [text for text in on_digits("tuning").lines if text.startswith("lr 1e-01")]
    rates = [line.split(":")[0] for line in text.splitlines()[:4]]
    assert rates == ["lr 1e-01", "lr 1e-02", "lr 1e-03", "lr 1e-04"]
    assert "in 100 steps" in text


@pytest.mark.row("G7")
def test_the_seven_steps_are_a_strip_of_findings(on_digits):
    rows = table(on_digits("tuning"), "The seven steps")
    assert [name[0] for name in rows] == list("1234567")
    assert all(cell for row in rows.values() for cell in row)


@pytest.mark.row("G6")
def test_each_curve_has_its_verdict_and_the_advice_helps(on_digits):
    chapter = on_digits("tuning")
    rows = table(chapter, "What the advice brought")
    assert list(rows) == ["needs-more-training", "overfitting", "underfitting"]
    for _, before, after, _ in rows.values():
        assert share(after) > share(before) + 3
    assert rows["overfitting"][-1] == rows["underfitting"][-1] == "healthy"


@pytest.mark.row("G8")
def test_a_similar_problem_saves_trials(on_digits):
    (rows,) = [
        rows for caption, rows in on_digits("tuning").tables.items() if "second problem" in caption
    ]
    begun, first, searched = (share(row[-1]) for row in rows)
    assert begun > first + 5
    assert begun >= searched


def test_the_same_story_again():
    """Nothing of the clock or of chance is in a chapter: two runs are equal."""
    from fanin.chapters import guideline
    from fanin.chapters.story import Data

    data = Data.load("digits", 0)
    first, again = (guideline._seven_steps(data, 3)[:2] for _ in range(2))
    assert first == again
    assert np.isfinite(share(re.search(r"([\d.]+ %)", first[1].rows[1][1])[1]))
