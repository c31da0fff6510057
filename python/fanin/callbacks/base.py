"""The base class of callbacks, and the list of them that fit calls."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ParamSpec, Self, cast

Logs = Mapping[str, float]
P = ParamSpec("P")


class Callback:
    """Base class of callbacks: override the methods you need.

    Attributes
    ----------
    network : MLP
        In training; ``model`` is Keras's name for it.
    params : dict
        ``epochs``, ``steps`` (per epoch), ``batch_size``, ``n_train``, ``n_val``; where a run goes
        on from a checkpoint, ``resumed`` is True and ``initial_step`` says from which step.

    Examples
    --------
    >>> class Losses(fanin.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.network.stop_training = logs["loss"] < 1
    >>> net = fanin.MLP([4, 3])
    >>> X, y = np.eye(4), np.array([0, 1, 2, 0])
    >>> history = net.fit(X, y, epochs=200, callbacks=[Losses()], progress=False)
    """

    network: Any = None
    params: Mapping[str, Any] = {}

    @property
    def model(self) -> Any:
        return self.network

    @property
    def uses_batches(self) -> bool:
        """Whether a batch method is overridden; then fit runs one step at a time."""
        return any(
            getattr(getattr(self, name), "__func__", None) is not getattr(Callback, name)
            for name in ("on_train_batch_begin", "on_train_batch_end")
        )

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once, before the first step."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once, after the last step; not after an error or Ctrl-C."""

    def on_interrupt(self, logs: Logs | None = None) -> None:
        """Called after Ctrl-C, before fit raises KeyboardInterrupt."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch's first step."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called with the epoch's results: loss, accuracy, lr, and val_loss, val_accuracy."""

    def on_train_batch_begin(self, step: int, logs: Logs | None = None) -> None:
        """Called before a step."""

    def on_train_batch_end(self, step: int, logs: Logs | None = None) -> None:
        """Called after a step, with its loss."""

    def on_progress(self, step: int, logs: Logs | None = None) -> None:
        """Called about twenty times a second with the number of steps done in the run."""

    def state_dict(self) -> dict[str, Any]:
        """What the callback remembers of the run so far, for a checkpoint of ``fit``.

        A dict of text, numbers, lists, dicts and arrays of numbers. A callback that counts or
        compares from epoch to epoch has this method and `load_state_dict`, or its run is another
        one after it is resumed.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned; called after `on_train_begin` of a resumed run."""
        if state:
            name, keys = type(self).__name__, ", ".join(state)
            raise ValueError(f"{name}: expected an empty state, got {keys}; it has no own method")

    def close(self) -> None:
        """Called last, also after an error or Ctrl-C."""


def _each(method: Callable[P, None]) -> Callable[P, None]:
    """The method of all callbacks, in order, documented as `Callback`'s."""

    @functools.wraps(getattr(Callback, method.__name__))
    def call(self: Any, *args: Any, **keywords: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, method.__name__)(*args, **keywords)

    return cast("Callable[P, None]", call)


class CallbackList:
    """Calls several callbacks in order; as a context manager, closes them.

    Parameters
    ----------
    callbacks : Callback, or iterable of them
    network, params
        What the callbacks get under these names.

    Examples
    --------
    >>> class Name(fanin.callbacks.Callback):
    ...     def on_train_begin(self, logs=None):
    ...         print("begins:", self.network)
    >>> both = fanin.callbacks.CallbackList([Name(), Name()], network="a network")
    >>> both.on_train_begin()
    begins: a network
    begins: a network
    """

    def __init__(
        self,
        callbacks: Iterable[Callback] = (),
        network: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.callbacks: list[Callback] = (
            [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
        )
        for i, callback in enumerate(self.callbacks):
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks: expected fanin.callbacks.Callback, got {callback!r}")
            if any(callback is other for other in self.callbacks[:i]):
                raise ValueError(f"callbacks: expected each once, got {callback!r} twice")
            callback.network = network
            callback.params = dict(params or {})

    def __iter__(self) -> Iterator[Callback]:
        return iter(self.callbacks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for callback in self.callbacks:
            callback.close()

    @property
    def uses_batches(self) -> bool:
        return any(callback.uses_batches for callback in self.callbacks)

    @_each
    def on_train_begin(self, logs: Logs | None = None) -> None: ...
    @_each
    def on_train_end(self, logs: Logs | None = None) -> None: ...
    @_each
    def on_interrupt(self, logs: Logs | None = None) -> None: ...
    @_each
    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None: ...
    @_each
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None: ...
    @_each
    def on_train_batch_begin(self, step: int, logs: Logs | None = None) -> None: ...
    @_each
    def on_train_batch_end(self, step: int, logs: Logs | None = None) -> None: ...
    @_each
    def on_progress(self, step: int, logs: Logs | None = None) -> None: ...
