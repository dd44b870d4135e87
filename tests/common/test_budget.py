from common.budget import budget
from config import Config


def test_the_budget_grows_with_the_root_of_the_classes():
    assert [budget(1000, classes) for classes in (0, 12, 21, 25, 26, 100, 2500)] == [1000] * 4 + [1020, 2000, 10_000]


def test_epochs_are_those_of_the_recipe_up_to_25_classes():
    epochs = [Config().epochs_for(6696, classes) for classes in (0, 12, 25)]
    assert epochs == [150] * 3 and Config(model="ResNet18").epochs_for(6696, 12) == 20
    assert Config().epochs_for(43_598, 100) == 47 and Config().epochs_for(1_000_000, 3755) == 20
    assert Config(epochs=7).epochs_for(10, 3755) == 7
    assert Config(samples_seen=500_000).epochs_for(10_000, 3755) == 50, "a budget of the user's own"
