from dataclasses import fields

import pytest

from common.errors import InputError, StorageError, TrainingError, did_you_mean
from config import Config


@pytest.mark.parametrize(
    "error, built_in", [(InputError, ValueError), (StorageError, OSError), (TrainingError, ArithmeticError)]
)
def test_each_error_is_also_the_built_in_one(error, built_in):
    with pytest.raises(built_in, match="^what is wrong: the remedy$"):
        raise error("what is wrong: the remedy")


def test_a_long_message_keeps_its_beginning_and_its_end():
    message = str(InputError(f"a.zip: {'x' * 30_000}: the remedy"))
    assert len(message) < 2100 and message.startswith("a.zip: xxx") and message.endswith("xxx: the remedy")


def test_the_nearest_name_is_proposed():
    assert did_you_mean("lerning_rate", ["epochs", "learning_rate", "rotation"]) == "did you mean 'learning_rate'?"
    assert did_you_mean("博/00", {"学/0": 1, "博/0": 2}) == "did you mean '博/0'?"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("epoch", "epochs"), ("lr", "learning_rate"), ("seed", "random_seed"), ("rate", "learning_rate"),
     ("batchsize", "batch_size"), ("bs", "batch_size"), ("wd", "weight_decay"), ("rotaton", "rotation")],
)  # fmt: skip
def test_words_and_initials_of_a_name_are_near(name, meant):
    assert did_you_mean(name, [one.name for one in fields(Config)]) == f"did you mean {meant!r}?"


def test_there_is_a_proposal_for_names_that_are_nothing_like_a_valid_one():
    assert did_you_mean("zzz", ["a"]) == did_you_mean(3, iter(["a"])) == "did you mean 'a'?"
    assert did_you_mean("a" * 10**6, ["a", "b"]) == "did you mean 'a'?"
