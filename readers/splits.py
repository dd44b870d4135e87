"""Which images are held out for validation: no leak between the two sides, every class on both."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.errors import InputError
from common.text import first_names
from imaging.ink import identical_groups
from readers.names import Names, number_names

log = logging.getLogger("fit_char")


def leak_groups(hashes: np.ndarray, writers: np.ndarray | Names) -> np.ndarray:
    """Return the group of each image, int64 (N,): images of one writer, identical ones, and all that these link.

    Args:
        hashes: of the images (`imaging.ink.hash_images`).
        writers: their names, str (N,) or Names; "" if unknown.
    """
    codes, names = number_names(writers)
    known = np.flatnonzero(np.array([name != "" for name in names], bool)[codes])
    linked = [(known, np.unique(codes, return_index=True)[1][codes[known]])]  # each with the first of its group
    linked += [(np.array(group), np.full(len(group), group[0])) for group in identical_groups(hashes)]
    edges = tuple(np.concatenate(side) for side in zip(*linked, strict=True))
    graph = coo_array((np.ones(len(edges[0]), np.int8), edges), (len(writers), len(writers)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def validation_mask(
    y: np.ndarray, classes: Sequence[str], groups: np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """Return which images are for validation, bool (N,): a fraction of each class, at random, groups kept together.

    A class of a single group is not validated, which is logged.

    Args:
        y: labels int64 (N,).
        classes: names of the C classes.
        groups: int64 (N,), see `leak_groups`.
        fraction: of each class, 0 < fraction < 1.
        seed: the same seed gives the same mask on every machine.

    Raises:
        InputError: a class without images, or a fraction out of range.
    """
    if not 0 < fraction < 1:
        raise InputError(f"val_fraction must be between 0 and 1, not {fraction}")
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]  # by class, each in the order drawn
    per_class = np.split(order, np.bincount(y, minlength=len(classes)).cumsum()[:-1])
    in_val: dict[int, bool] = {}  # by group
    single = []
    for k, (name, own) in enumerate(zip(classes, per_class, strict=True)):
        count = Counter(groups[own].tolist())
        if not count:
            remedy = ", so give y - 1" if k == 0 and len(y) and y.min() == 1 else ""
            raise InputError(
                f"class {name!r} has no image: labels must be 0 to {len(classes) - 1} without gaps{remedy}"
            )
        if len(count) < 2:
            single.append(name)
        _assign_groups(count, max(1, round(fraction * count.total())), in_val)
    if single:
        log.warning(
            "Only one different image or one writer: %s. These classes are not validated; add images.",
            first_names(single),
        )
    return np.fromiter((in_val[group] for group in groups.tolist()), bool, len(y))


def _assign_groups(count: Counter[int], target: int, in_val: dict[int, bool]) -> None:
    """Assign the groups of one class, group → its images of this class, to validation up to a target of images."""
    assigned = sum(count[g] for g in count if in_val.get(g))
    free = [g for g in count if g not in in_val]
    in_val |= dict.fromkeys(free, False)
    candidates = free if len(free) < len(count) else free[:-1]  # at least one is for training
    for g in candidates:
        if assigned + count[g] <= target:
            in_val[g] = True
            assigned += count[g]
    if not assigned and candidates:
        in_val[min(candidates, key=lambda g: count[g])] = True
    if all(in_val[g] for g in count):  # other classes have put them there
        in_val[max(count, key=lambda g: count[g])] = False
