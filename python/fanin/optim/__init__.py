"""Optimizers, from the lecture's SGD to Lion; a step is one pass over the parameters.

``opt.step(params, grads)`` updates arrays, or dicts of arrays, in place; `fanin.MLP.fit` takes the
same objects. In the formulas x are the parameters, g their gradient, t the step from 1; states
start at zero. Weight decay, where there is any, is decoupled; L2 belongs to the loss, as in the
lecture (``reg=`` of `fit`, or ``g + reg * x`` by hand).

>>> import numpy as np
>>> from fanin import optim
>>> params = {"W": np.ones((2, 2)), "b": np.zeros(2)}
>>> grads = {"W": np.full((2, 2), 0.5), "b": np.ones(2)}
>>> opt = optim.Momentum(lr=0.1)
>>> for _ in range(2):
...     opt.step(params, grads)
>>> params["W"][0], params["b"]
(array([0.855, 0.855]), array([-0.29, -0.29]))
"""

from fanin.optim import rules
from fanin.optim.base import Optimizer
from fanin.optim.rules import *

__all__ = ["Optimizer"]
__all__ += rules.__all__
