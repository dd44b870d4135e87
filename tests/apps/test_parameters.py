import json

import pytest

from apps.parameters import read_config
from common.errors import InputError
from config import Config

FIRST = 'config_path = None  # a file\nmodel = "LeNet"\nepochs = None\nown_image = None'
IMPORTS = "import numpy as np\nx = np.zeros(3)"


def run(*cells: str) -> dict:
    """Return the namespace of a kernel in which these cells were run."""
    namespace: dict = {"In": ["", *cells]}
    for cell in cells:
        exec(cell, namespace)
    return namespace


def read(*cells: str) -> Config:
    return read_config(run(*cells), own=["own_image"])


def test_what_papermill_sets_replaces_what_the_notebook_sets():
    assert read(FIRST, IMPORTS) == Config()
    assert read(FIRST, "# Parameters\nepochs = 5\nrotation = 20\n", IMPORTS) == Config(epochs=5, rotation=20)
    assert read(FIRST, "# Parameters\nimage_size = 64\nmodel = 'ResNet18'\n") == Config(model="ResNet18", input_size=64)


@pytest.mark.parametrize(
    "cell, name, near",
    [
        ("# Parameters\nepoch = 5\n", "epoch", "epochs"),
        ("# Parameters\nown_imag = 'a.png'\n", "own_imag", "own_image"),
        (FIRST + "\nrotaton = 5", "rotaton", "rotation"),
    ],
)
def test_an_unknown_parameter_stops_with_the_nearest_name(cell, name, near):
    with pytest.raises(InputError, match=f"^unknown parameter '{name}': did you mean '{near}'"):
        read(FIRST, cell, IMPORTS)


def test_a_cell_that_is_run_again_counts_alone():
    mistyped, later = FIRST + "\nrotaton = 5", FIRST.replace("epochs = None", "epochs = 3")
    assert read(FIRST + "\nrotation = 20", later) == Config(epochs=3)
    assert read(mistyped, later) == Config(epochs=3)
    assert read(FIRST, "rotation = 20", "y = 3", "z = 4") == Config(rotation=20)


def test_what_is_set_explicitly_wins_over_the_file(tmp_path, capsys):
    values = {"epoches": 100, "batch_size": 64, "hash_id": "301efa36", "random_seed": 7, "device": "cpu"}
    path = tmp_path / "run.json"
    path.write_text(json.dumps(values))
    first = FIRST.replace("config_path = None", f"config_path = {str(path)!r}") + "\nrandom_seed = 42"
    report = read(first)
    assert (report.hash_id, report.epochs, report.random_seed, report.recipe) == ("301efa36", 100, 7, "report")
    assert "notebook" not in capsys.readouterr().out
    changed = read(first, "# Parameters\nepochs = 2\nrandom_seed = 42\n")
    assert (changed.epochs, changed.random_seed, changed.batch_size) == (2, 42, 64) and changed.hash_id != "301efa36"
    assert "run.json, but for what the notebook sets: epochs = 2, random_seed = 42" in capsys.readouterr().out
    assert read(first, "# Parameters\nrecord_path = 'r'\n").hash_id == "301efa36"


def test_a_slow_cpu_is_suited_unless_there_is_a_file_or_a_budget(tmp_path, monkeypatch):
    monkeypatch.setattr("training.pace.measured_speed", lambda config, device: 300 if config.input_size else 150)
    monkeypatch.setattr("training.pace.measured", {})
    words = "# Parameters\nmodel = 'ResNet18'\ndevice = 'cpu'\nsave_path = None\n"
    assert read(FIRST, words).input_size == 48
    for budget in ("samples_seen = 133920", "images_shown = 133920", "epochs = 9", "input_size = 64"):
        assert read(FIRST, words + budget).input_size == (64 if "size" in budget else None)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": "ResNet18", "device": "cpu"}))
    assert read(FIRST.replace("= None  # a file", f"= {str(path)!r}")).input_size is None
