"""The transforms by name, and the order that a pipeline keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fanin._validate import sequence
from fanin.augment import colour, composition, crops, erasing, flips, mixing, warps
from fanin.augment.transform import Transform

_MODULES = (flips, crops, warps, colour, erasing, mixing, composition)
TRANSFORMS: dict[str, type[Transform]] = {
    name: getattr(module, name) for module in _MODULES for name in module.__all__
}


def check_order(steps: Sequence[Transform], mix: mixing.Mix | None) -> None:
    """Raises where a transform comes before or after one that it must not."""
    for step in steps:
        if isinstance(step, mixing.Mix):
            raise ValueError(
                f"transforms: expected {type(step).__name__} to be the last, "
                f"got {step!r} before {mix or 'others'}"
            )
    leaves = [leaf for step in steps for leaf in step._leaves()]
    normalized: Transform | None = None
    for leaf in leaves:
        if normalized and not leaf._after_normalize:
            raise ValueError(
                "transforms: expected only RandomErasing, Cutout, Mixup or CutMix after "
                f"{normalized!r}, got {leaf!r}; put Normalize behind it"
            )
        if isinstance(leaf, colour.Normalize):
            normalized = leaf
    corners = [repr(leaf) for leaf in leaves if isinstance(leaf, (crops.FiveCrop, crops.TenCrop))]
    if len(corners) > 1:
        got = " and ".join(corners[:2])
        raise ValueError(f"transforms: expected one of FiveCrop and TenCrop, got {got}")


def transform_from_dict(values: Any) -> Transform:
    """The inverse of `Transform.to_dict`."""
    if not isinstance(values, Mapping) or "name" not in values:
        raise ValueError(f"transforms: expected dicts with a name, got {values!r}")
    options = {str(k): v for k, v in values.items() if k != "name"}
    name = values["name"]
    if name not in TRANSFORMS:
        raise ValueError(f"transforms: expected one of {', '.join(TRANSFORMS)}; got {name!r}")
    if "transforms" in options:
        inner = sequence("transforms", options["transforms"], "a list of dicts")
        options["transforms"] = [transform_from_dict(step) for step in inner]
    return TRANSFORMS[name]._from_options(options)
