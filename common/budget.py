"""How many images a run sees, by the number of classes."""

TWELVE = 12  # classes, for which the recipes' budgets were measured


def budget(samples: int, classes: int) -> int:
    return samples
