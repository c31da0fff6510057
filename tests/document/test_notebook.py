"""What notebooks show: HTML that is escaped, small and needs nothing else; bars as widgets."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import tuning
from fanin.callbacks import History, ProgressBar

EVIL = "<script>alert(1)</script>"
VOID = {"br", "img"}


class Checked(HTMLParser):
    """Tags are balanced; the text is collected."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {"src", "href", "onclick", "style"} & {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(thing: Any) -> Checked:
    html = thing._repr_html_()
    assert len(html) < 20_000
    assert "<script" not in html
    return Checked(html)


def test_network() -> None:
    net = fanin.MLP([4, 5, 3], activation="prelu", norm="batch", keep=0.8)
    text = shown(net).text
    assert "MLP 4-5-3" in text
    assert "4 → 5" in text
    assert f"{net.n_params:,} parameters" in text
    assert "35" in text  # 20 weights, gamma, beta and the slopes of 5 units
    assert "not yet" in text
    net.fit(np.eye(4), np.array([0, 1, 2, 0]), epochs=2, progress=False)
    assert "2 epochs, 2 steps" in shown(net).text
    assert len(shown(fanin.MLP([3] * 200)).text) < 3000


def test_history() -> None:
    history = History()
    assert "table" not in shown(history).tags
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        history.append(epoch, {"loss": loss, "val_loss": loss, EVIL: loss})
    history.stop_reason = EVIL
    text = shown(history).text
    assert "alert(1)" in text
    assert "First, best (by val_loss) and last epochs" in text
    assert text.count(EVIL) == 2
    for i in range(100):
        history.append(3 + i, {"loss": 1.0, f"metric {i}": 0.0})
    assert len(shown(history).text) < 3000


def test_search() -> None:
    space = {"x": tuning.uniform(0, 1), "kind": tuning.choice([EVIL, "plain"])}
    result = tuning.search(space, lambda p: p["x"], 8, progress=False)
    text = shown(result).text
    assert EVIL in text
    assert f"{result.best.score:.4g}" in text
    assert "8 done" in text

    def fails(_: Any) -> float:
        raise ValueError(EVIL)

    assert EVIL in shown(tuning.search(space, fails, 2, progress=False)).text


def test_report() -> None:
    finding = {"name": "imbalanced", "evidence": EVIL, "action": EVIL}
    facts = {"number": 1, "round": 0, "seconds": 0.1, "findings": [finding]}
    settings = {"hidden": [32], "lr": 0.1, "activation": EVIL}
    report = tuning.Report((tuning.Step(facts),), None, None, settings, EVIL, 0.1)
    text = shown(report).text
    assert "Step 1. Check the initial loss" in text
    assert "imbalanced" in text
    assert report.stopped in text


class Stream:
    """A notebook's stderr: no terminal."""

    def write(self, text: str) -> None: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool:
        return False


def test_bars_are_tqdm_auto_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook it makes widgets; a run that stops early does not end as a failure."""
    import tqdm.auto

    made = []

    class Widget(tqdm.auto.tqdm):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr("sys.stderr", Stream())
    monkeypatch.setattr("tqdm.auto.tqdm", Widget)
    stop = fanin.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: setattr(net, "stop_training", True)
    )
    net = fanin.MLP([4, 3])
    net.fit(np.eye(4), np.array([0, 1, 2, 0]), epochs=5, callbacks=[stop, ProgressBar()])
    assert made
    assert all(bar.n == bar.total == 1 for bar in made)
