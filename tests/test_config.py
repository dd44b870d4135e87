import json
from dataclasses import asdict, fields

import numpy as np
import pytest
from conftest import ROOT

from common.errors import InputError
from config import ADDED, ALIASES, RECIPES, Config

REPORT = {
    "batch_size": 64, "data_path": "./data/data.npz", "epoches": 100, "hash_id": "301efa36", "learning_rate": 0.001,
    "mode": "train_and_test", "model": "LeNet", "random_seed": 42, "raw_data_path": "./data/raw",
    "record_path": "./record", "save_path": "./save\\LeNet_best.ckpt",
}  # fmt: skip


def error(**values) -> str:
    with pytest.raises(InputError) as caught:
        Config.from_dict(values)
    return str(caught.value)


def test_the_recipe_fills_what_is_not_set():
    config = Config(model="ResNet18", batch_size=32)
    assert (config.batch_size, config.epochs, config.learning_rate) == (32, None, 0.002)
    assert Config().augments and not Config(recipe="report").augments
    assert all(set(recipe) == set(RECIPES["report"]) for recipe in RECIPES.values())


def test_small_data_sets_get_more_epochs():
    assert [Config(samples_seen=1000, batch_size=10).epochs_for(n, 12) for n in (3, 10, 30)] == [100, 100, 34]
    assert Config(epochs=7).epochs_for(10, 12) == 7


def test_large_data_sets_get_20_epochs_or_a_smaller_budget_fewer():
    usual = Config("ResNet18").samples_seen
    budgets = (2 * usual, usual, usual // 2, 1000, 0)
    assert [Config("ResNet18", samples_seen=n).epochs_for(10**6, 12) for n in budgets] == [20, 20, 10, 1, 1]


def test_a_config_of_its_own_json_is_the_same(tmp_path):
    config = Config(model="ResNet18", learning_rate=1e-3, rotation=5)
    (tmp_path / "config.json").write_text(json.dumps(asdict(config)), encoding="utf-8")
    assert Config.load(tmp_path / "config.json") == config


@pytest.mark.parametrize("old, new", ALIASES.items())
def test_earlier_names_are_read(old, new):
    value = {"samples_seen": 5000, "ema_decay": 0.5, "epochs": 7}.get(new, 32)
    assert getattr(Config.from_dict({old: value}), new) == value
    assert error(**{old: value, new: value}) == f"{old!r} is the former name of {new!r}: give only {new!r}"
    assert error(**{new: value, old: value}) == f"{old!r} is the former name of {new!r}: give only {new!r}"


def test_earlier_names_are_no_longer_fields():
    names = {one.name for one in fields(Config)}
    assert set(ALIASES.values()) <= names and not set(ALIASES) & names


def test_the_config_of_an_earlier_version_gives_the_same_run_as_todays_names():
    with open(ROOT / "tests/files/config.json", encoding="utf-8") as file:
        earlier = json.load(file)
    assert set(earlier) & set(ALIASES)
    config = Config.from_dict(earlier)
    assert {name: getattr(config, ALIASES.get(name, name)) for name in earlier if name != "hash_id"} == {
        name: value for name, value in earlier.items() if name != "hash_id"
    }


def test_the_reports_dict_loads(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(REPORT))
    config = Config.load(tmp_path / "run.json")
    assert (config.recipe, config.epochs, config.hash_id) == ("report", 100, "301efa36")
    assert config.save_path == "./save/LeNet_best.ckpt"
    assert (config.optimizer, config.schedule, config.pipeline) == ("adam", "constant", "per_image")


@pytest.mark.parametrize(
    "name, model, batch_size, epochs, learning_rate, mode",
    [
        ("8a7e8d55", "LeNet", 32, 100, 0.003, "train_and_test"),
        ("301efa36", "LeNet", 64, 100, 0.001, "train_and_test"),
        ("bb0e4dce", "ResNet18", 64, 80, 0.00005, "train"),
    ],
)
def test_the_reports_three_runs_are_here(name, model, batch_size, epochs, learning_rate, mode):
    config = Config.load(ROOT / f"configs/{name}.json")
    assert (config.hash_id, config.model, config.batch_size, config.epochs) == (name, model, batch_size, epochs)
    assert (config.learning_rate, config.mode, config.random_seed) == (learning_rate, mode, 42)
    assert config.init_from == ("./save/report/LeNet_best.ckpt" if name == "301efa36" else None)


def test_hash_id_is_of_what_determines_the_result():
    assert Config().hash_id == "a6cd31f0"
    paths = {"raw_data_path": "a", "data_path": "b", "record_path": None, "save_path": "c", "init_from": "d"}
    assert Config(**paths, device="cpu", mode="test", devices=2).hash_id == Config().hash_id
    assert "hash_id" not in Config().identity() and Config().identity()["samples_seen"] == 1_004_400
    assert len({Config(**change).hash_id for change in ({}, {"epochs": 3}, {"random_seed": 1}, {"rotation": 1})}) == 4
    assert Config(learning_rate=1).hash_id == Config(learning_rate=1.0).hash_id


def test_fields_that_came_later_leave_the_hash_id_as_it_was():
    changes = (
        {"class_weights": "off"},
        {"model_options": None},
        {"model_options": {}},
        {"model_options": {"hidden": 84}},
    )
    assert all(Config(**change) == Config() for change in changes) and not set(ADDED) & set(Config().identity())
    assert Config(class_weights="balanced").identity()["class_weights"] == "balanced"
    others = ({"class_weights": "balanced"}, {"model_options": {"hidden": 85}}, {"model_options": {"hidden": 86}})
    assert len({Config(**change).hash_id for change in (*others, {})}) == 4


def test_options_of_a_model_are_checked():
    config = Config(model="ResNet18", model_options='{"stem": "small"}')  # as from a shell
    assert config.model_options == {"stem": "small"} and Config.from_dict(asdict(config)) == config
    assert error(model_options={"hiden": 9}) == ("model_options: LeNet has no option 'hiden': did you mean 'hidden'?")
    assert error(model_options="hidden=9").startswith('model_options is not a JSON object, such as {"hidden": 512}: ')
    assert error(model_options=[9]) == "model_options must be dict, not [9] (list)"
    assert Config(model="MyNet", model_options={"depth": 3}).model_options == {"depth": 3}


def test_bad_values_are_named_with_the_remedy():
    assert error(lerning_rate=1) == "unknown parameter 'lerning_rate': did you mean 'learning_rate'?"
    assert error(**{"a" * 200: 1}).startswith(f"unknown parameter '{'a' * 99}: did you mean ")
    assert error(mode="tests") == (
        "unknown mode 'tests': did you mean 'test'? It is one of train, test, train_and_test."
    )
    assert error(batch_size=0) == "batch_size must be between 1 and 65536, not 0"
    assert error(epochs=-1) == "epochs must be between 1 and 100000, not -1"
    assert error(learning_rate=0.0) == "learning_rate must be between 1e-09 and 10.0, not 0.0"
    assert error(learning_rate=float("nan")) == "learning_rate must be between 1e-09 and 10.0, not nan"
    assert error(batch_size="64") == "batch_size must be int, not '64' (str)"
    assert error(batch_size=True) == "batch_size must be int, not True (bool)"
    assert error(epochs="3") == "epochs must be int, not '3' (str)"
    assert error(model=None) == "model must be str, not None (NoneType)"
    assert error(save_path=3) == "save_path must be str, not 3 (int)"
    assert error(save_path="a\0b") == "save_path must not contain the character NUL"
    assert error(recipe="report", hash_id="xyz").startswith("hash_id must be 8 hex digits, not 'xyz'")


def test_a_numpy_float_is_a_float():
    config = Config(learning_rate=np.float64(0.01))
    assert type(config.learning_rate) is float and config.hash_id == Config(learning_rate=0.01).hash_id


def test_the_pipeline_of_the_report_does_not_augment():
    assert not Config(pipeline="per_image").augments and Config().augments
    with pytest.raises(InputError, match="^the pipeline per_image does not augment: set rotation, scale, .* to 0, or"):
        Config(pipeline="per_image", shift=0.1)


def test_a_bad_file_is_named(tmp_path):
    path = tmp_path / "run.json"
    for text, message in (
        ('{"epoch": 3}', f"{path}: unknown parameter 'epoch': did you mean 'epochs'?"),
        ("[1]", f"{path}: a config is a JSON object of parameters, not list"),
        ("{", f"{path} is not a JSON file: "),
    ):
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            Config.load(path)
        assert str(caught.value).startswith(message)
    with pytest.raises(InputError, match="cannot be read: "):
        Config.load(tmp_path)
    with pytest.raises(InputError, match="nothing.json does not exist: the runs of the report are in configs/"):
        Config.load(tmp_path / "nothing.json")


def test_characters_belong_to_what_determines_the_result_if_there_are_any():
    assert Config(characters=None).identity() == Config().identity() and "characters" not in Config().identity()
    assert len({Config(**change).hash_id for change in ({}, {"characters": "永字"}, {"drawn_per_class": 9})}) == 3
    assert Config(hanzi_path="a.tgz").hash_id == Config().hash_id
