"""How many images a run sees in all its epochs, by the number of classes: the one place where this is said."""

import math

MEASURED = 25  # classes up to which the recipes' budgets are right: measured with 12 and 21


def budget(samples: int, classes: int) -> int:
    """Return the images that a run sees: a recipe's samples, which grow with the square root of the classes beyond 25.

    With 100 classes these are twice as many, with 1,000 6.3 and with 3,755 12.3 times. Figures are in RESULTS.md.

    Args:
        samples: of the recipe, or the user's.
        classes: C.
    """
    return samples if classes <= MEASURED else math.ceil(samples * math.sqrt(classes / MEASURED))
