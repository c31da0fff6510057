"""Progress bars: tqdm's, which stay silent in logs."""

# ruff: noqa: ARG002 -- the methods are described in Callback, and take what it passes
from __future__ import annotations

import contextlib
import sys
from typing import Any

from fanin.callbacks.base import Callback, Logs


def is_terminal(file: Any) -> bool:
    """Whether a file is a terminal: none that is missing, closed or has no `isatty` is."""
    try:
        return bool(file.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def open_bar(file: Any = None, **options: Any) -> Any:
    """A tqdm bar on stderr or the file; None where it is neither a terminal nor in a notebook."""
    file = sys.stderr if file is None else file
    notebook = "ipykernel" in sys.modules and file is not None
    # Imported here, not above: it would double the time of our import.
    if is_terminal(file):
        from tqdm import tqdm
    elif notebook and not getattr(file, "closed", False):
        from tqdm.auto import tqdm  # a widget, where ipywidgets is installed
    else:
        return None

    class Bar(tqdm):  # type: ignore[misc]
        monitor_interval = 0  # tqdm's own would start a thread

    return Bar(file=_Written(file), dynamic_ncols=True, **options)


class _Written:
    """A file that may be closed, or whose reader may go, while others write to it."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> None:
        with contextlib.suppress(ValueError, OSError):
            self._file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            self._file.flush()


class ProgressBar(Callback):
    """A tqdm bar over all steps of a fit, on stderr, with loss, accuracies and time left.

    Parameters
    ----------
    file : text file, optional
        In place of stderr. Nothing is shown where it is neither a terminal nor in a notebook.

    Examples
    --------
    >>> import io
    >>> bar = fanin.callbacks.ProgressBar(file=io.StringIO())  # no terminal: it shows nothing
    >>> X, y = np.eye(4), np.array([0, 1, 2, 0])
    >>> history = fanin.MLP([4, 3]).fit(X, y, callbacks=[bar], epochs=1)
    """

    def __init__(self, file: Any = None) -> None:
        self._file = file
        self._bar: Any = None
        self._shown: dict[str, str] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.close()
        self._shown = {}
        total = self.params["epochs"] * self.params["steps"]
        done = self.params.get("initial_step", 0)
        self._bar = open_bar(self._file, total=total, initial=done, unit="step")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            self._bar.set_description(f"epoch {epoch + 1}/{self.params['epochs']}", refresh=False)

    def on_progress(self, step: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            self._show(logs)
            self._bar.update(step - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            self._show(logs)
            self._bar.refresh()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._bar is not None and self._bar.n < self._bar.total:
            self._bar.total = self._bar.n  # stopped early: a widget would end as a failure
            self._bar.refresh()

    def _show(self, logs: Logs | None) -> None:
        for name in ("loss", "accuracy", "val_accuracy"):
            if logs and name in logs:
                self._shown[name] = f"{name} {logs[name]:.4f}"
        self._bar.set_postfix_str(", ".join(self._shown.values()), refresh=False)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
