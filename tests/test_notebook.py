import csv
import json
import re
import statistics
import sys

import numpy as np
import papermill
import pytest
from conftest import ROOT

from classifier import CNNClassifier
from readers.layout import natural_key

NOTEBOOK = ROOT / "fit_char.ipynb"


@pytest.fixture
def execute(tmp_path, monkeypatch, raw, drawn):
    """Return a function that runs the notebook on a small folder of images and gives its printed text."""
    folder = raw({name: drawn.x[drawn.y == k] for k, name in enumerate(drawn.classes)})
    (folder / "classes.txt").write_text("\n".join(drawn.classes), encoding="utf-8")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(**parameters) -> str:
        paths = {"raw_data_path": folder, "data_path": tmp_path / "data.npz", "record_path": tmp_path / "record"}
        paths = {key: str(path) for key, path in paths.items()} | {
            "save_path": str(tmp_path / "save/{model}_best.ckpt")
        }
        # papermill's own dependencies may warn of what is not ours to mend
        done = papermill.execute_notebook(
            NOTEBOOK, tmp_path / "out.ipynb", paths | {"epochs": 2, "device": "cpu"} | parameters,
            cwd=ROOT, progress_bar=False,
        )  # fmt: skip
        outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
        return "".join(output.get("text", "") for output in outputs)

    return run


def test_train_and_test_then_test_alone(execute, tmp_path):
    trained = execute()
    accuracy = re.search(r"accuracy    ([\d.]+%) \(", trained)[1]
    assert "480 images of 12 classes" in trained and str(tmp_path / "save/LeNet_best.ckpt") in trained
    assert "no earlier run was evaluated on these images" in trained
    assert "C3: 16 feature maps, 5×5, each sees all of S2" in trained
    (folder,) = (tmp_path / "record").iterdir()
    assert {"curves.png", "audit.json", "predictions.csv"} <= {path.name for path in folder.iterdir()}
    assert "trained on other images" not in trained
    tested = execute(mode="test", check_labels=True, epochs=1)
    assert (
        re.search("of 48 images, this run and .* classify the same ones correctly", tested)
        and "fold 5 of 5: " in tested
    )
    assert re.search(r"accuracy    ([\d.]+%) \(", tested)[1] == accuracy
    assert len(list((tmp_path / "record").iterdir())) == 1  # testing leaves no record of a run


def test_train_alone(execute, raw, drawn, tmp_path):
    parts = {f"train/{k}": drawn.x[drawn.y == k] for k in range(3)}
    parts |= {f"test/{k}": drawn.x[drawn.y == k][:5] for k in range(3)}
    options = {"raw_data_path": str(raw(parts, "parts")), "own_image": str(tmp_path / "parts/test/2/1.bmp")}
    text = execute(mode="train", model="ResNet18", stored_size=32, input_size=32, epochs=1, **options)
    assert "108 images to train on, 12 to validate, 15 to test" in text and "measured on the 15 test images" in text
    assert "identical in train and test: 15" in text
    assert "test accuracy, with" not in text and (tmp_path / "save/ResNet18_best.ckpt").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows allows no such names")
def test_names_of_any_kind(execute, raw, drawn, tmp_path):
    names = [
        "a b",
        "quo\"te'",
        "new\nline",
        "n" * 200,
        "長" * 60,
        "$x$ <b>&",
        "%s {0}",
        "Ω\t",
        "-",
        "#",
        "a,b;c",
        "NaN",
    ]
    images = {name: drawn.x[drawn.y == k] for k, name in enumerate(names)}
    text = execute(raw_data_path=str(raw(images, "原 'raw\" $1$", ' $5\n,".bmp')), epochs=1, check_labels=True)
    assert "480 images of 12 classes" in text and "fold 5 of 5" in text
    (folder,) = (tmp_path / "record").iterdir()
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48 and {row["given"] for row in rows} == set(names)
    assert all(row["file"] in {f'{row["given"]}/{i} $5\n,".bmp' for i in range(1, 41)} for row in rows)
    assert CNNClassifier.load(tmp_path / "save/LeNet_best.ckpt", device="cpu").classes_ == sorted(
        names, key=natural_key
    )


def test_a_run_of_the_report(execute, tmp_path):
    run = json.loads((ROOT / "configs/8a7e8d55.json").read_text()) | {"epoches": 2}
    (tmp_path / "run.json").write_text(json.dumps(run))
    text = execute(config_path=str(tmp_path / "run.json"))
    assert "run 8a7e8d55: LeNet, batch size 32" in text and "run.json, but for what the notebook sets: raw_data" in text
    assert (tmp_path / "save/LeNet_best.ckpt").exists()


def test_a_users_own_parts_are_used(execute, raw, drawn, tmp_path):
    np.savez(
        tmp_path / "own.npz", x_train=drawn.x[::2], y_train=drawn.y[::2], x_val=drawn.x[1::4], y_val=drawn.y[1::4],
        x_test=drawn.x[3::4], y_test=drawn.y[3::4],
    )  # fmt: skip
    text = execute(raw_data_path=str(tmp_path / "own.npz"))
    assert "240 images to train on, 120 to validate, 120 to test" in text and "test accuracy, with its 95 %" in text


def test_a_mistyped_parameter_stops_before_anything_is_read(execute, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="unknown parameter 'epoch': did you mean 'epochs'"):
        execute(epoch=5)
    assert not (tmp_path / "data.npz").exists()


def test_its_form():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    source = ["".join(cell["source"]) for cell in code]
    assert 25 <= len(notebook["cells"]) <= 40
    assert statistics.median(len(text.splitlines()) for text in source) <= 8
    assert not any(re.search(r"^\s*(class|def) |\.backward\(|\.step\(", text, re.MULTILINE) for text in source)
    assert ["parameters" in cell["metadata"].get("tags", []) for cell in code].index(True) == 0
    assert all("#" in line for line in source[0].splitlines()), "every parameter says what it is"


def test_it_is_committed_with_the_output_of_one_clean_run():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = [output["output_type"] for cell in code for output in cell["outputs"]]
    assert kinds and "error" not in kinds and NOTEBOOK.stat().st_size < 2_000_000
    assert "synthetic handwriting" in NOTEBOOK.read_text(encoding="utf-8"), "no picture of anybody's images"
