"""The shell does what the notebook does, and behaves as a shell user expects."""

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image

import dataset
import fit_char
import init
from classifier import CNNClassifier
from config import Config
from readers import open_source
from runs.comparison import read_runs

CALL = [sys.executable, str(ROOT / "fit_char.py")]


@pytest.fixture
def run(capsys):
    """Return a function that runs a command and returns (exit code, standard output, standard error)."""

    def call(*words) -> tuple[int, str, str]:
        capsys.readouterr()
        code = fit_char.main([str(word) for word in words])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def three(raw, paper, tmp_path, monkeypatch):
    """A folder of three classes of 30 images, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return raw({name: paper(30, seed) for seed, name in enumerate("博学笃")})


def test_a_run_is_the_notebooks_to_the_bit(three, quick, run, tmp_path):
    config = quick(raw_data_path=str(three), batch_size=16, record_path=None, save_path="s/a.ckpt")
    init.set_seed(config.random_seed)
    images, _, _ = dataset.load_parts(init.prepare(config)).values()
    notebook = CNNClassifier(config, images.classes)
    notebook.fit(*dataset.split(images, config.val_fraction, config.split_seed))
    code, out, err = run("train", "--raw-data-path", three, "--epochs", 2, "--batch_size=16", "--device", "cpu")
    assert code == 0 and "Traceback" not in err
    lines = dict(line.split(None, 1) for line in out.splitlines())
    assert list(lines) == ["checkpoint", "record", "accuracy"]
    assert lines["checkpoint"] == "save/LeNet_best.ckpt" and lines["accuracy"].endswith("validation images")
    shell = CNNClassifier.load(lines["checkpoint"], device="cpu")
    assert shell.config.hash_id == config.hash_id and shell.metrics_ == notebook.metrics_
    for name, tensor in notebook.model.state_dict().items():
        assert torch.equal(shell.model.state_dict()[name], tensor)
    (found,) = read_runs("record")
    files = {path.name for path in (tmp_path / lines["record"]).iterdir()}
    assert {"audit.json", "curves.png", "predictions.csv"} <= files and lines["record"].endswith(found["run"])

    code, out, _ = run("evaluate", "save/LeNet_best.ckpt")  # with the split and the images of the checkpoint's run
    assert (code, out) == (0, f"{lines['accuracy']}\n")
    code, out, _ = run("evaluate", "--config", f"{lines['record']}/config.json", "--json")
    assert code == 0 and json.loads(out)["classes"]["博"]["support"] == 3
    code, out, _ = run("export", "save/LeNet_best.ckpt", "onnx/LeNet.onnx")
    assert code == 0 and out.splitlines()[0].split() == ["onnx", "onnx/LeNet.onnx"]
    code, out, err = run("export", "save/LeNet_best.ckpt", "onnx/LeNet.bin")
    assert (code, out) == (2, "") and "onnx/LeNet.bin must end in .onnx" in err
    code, out, err = run("export", "save/LeNet_best.ckpt", "onnx/LeNet.onnx", "--page")
    assert (code, out) == (2, "") and err.startswith("fit_char: the page needs onnxruntime-web"), "before the data"
    code, out, _ = run("runs")
    assert code == 0 and found["run"] in out
    code, out, _ = run("runs", found["run"], lines["record"])
    assert code == 0 and "differ in no parameter" in out and "no significant difference" in out


def test_classes_of_different_sizes_have_balanced_accuracy(raw, paper, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = raw({"博": paper(50, 0), "学": paper(20, 1)})
    code, out, _ = run("train", "--raw-data-path", folder, "--epochs", 1, "--device", "cpu")
    accuracy = out.splitlines()[-1].split(None, 1)[1]
    assert code == 0 and ", balanced accuracy " in accuracy and ", macro F1 " in accuracy
    assert run("evaluate")[:2] == (0, f"{accuracy}\n")


def test_evaluate_draws_no_characters_that_were_added_to_train_on(stroke_data, raw, paper, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = raw({character: paper(30, 9 * k) for k, character in enumerate("二人")})
    words = ["--raw-data-path", folder, "--characters", "二人", "--drawn-per-class", 5]
    code, out, _ = run("train", *words, "--epochs", 1, "--device", "cpu")
    accuracy = out.splitlines()[-1].split(None, 1)[1]
    other = raw({"二": paper(9), "人": paper(9, 1)}, "other")
    assert code == 0 and run("evaluate", "--raw-data-path", other)[2].count("was trained on other images") == 1
    init.preprocess(open_source(other), "data/data.npz")  # takes the place of the run's images
    monkeypatch.delattr("readers.characters.draw")
    code, out, err = run("evaluate")
    assert (code, out) == (0, f"{accuracy}\n") and "was trained on other images" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train --epoch 3", "fit_char: unknown option '--epoch': did you mean '--epochs'?"),
        ("train --epochs many", "fit_char: epochs must be int, not 'many' (str)"),
        ("train --mode test", "fit_char: mode 'test' trains nothing: use fit_char.py evaluate"),
        ("train --config no.json", "fit_char: no.json does not exist: the runs of the report are in configs/"),
        ("train --raw-data-path no", "fit_char: no does not exist: give a folder with one sub-folder per class"),
        ("evaluate no.ckpt", "fit_char: checkpoint no.ckpt does not exist: train first (mode train_and_test)"),
        ("evaluate --save-path none", "fit_char: name the checkpoint"),
        ("predict no.ckpt", "fit_char: the following arguments are required: IMAGES (see fit_char.py predict --help)"),
        ("predict no.ckpt a.png --processes 0", "fit_char: --processes must be 1 or more, not 0"),
        ("runs one", "fit_char: give two runs to compare, or none to list all, not 1"),
        ("runs one other", "fit_char: record/one is not the record of a finished run: fit_char.py runs lists them"),
        ("dance", "fit_char: argument COMMAND: invalid choice: 'dance'"),
    ],
)
def test_an_error_is_one_line(run, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words.split())
    assert (code, out) == (2, "") and err.startswith(said) and err.count("\n") == 1


def test_an_interrupt_ends_with_130_and_the_run_goes_on(three, run, monkeypatch):
    def stop(self, trainer):
        if len(trainer.history) == 1:
            os.kill(os.getpid(), 2)

    words = ["train", "--raw-data-path", three, "--epochs", 2, "--device", "cpu"]
    with monkeypatch.context() as patch:
        patch.setattr(CNNClassifier, "_warn_if_stuck", stop)
        code, out, err = run(*words)
    assert (code, out) == (130, "") and "Interrupted in epoch 2: the best weights so far are in" in err
    code, out, err = run(*words)
    assert code == 0 and "continuing after epoch 1" in err


def test_an_interrupted_run_with_many_classes_is_not_complete(raw, paper, run, tmp_path, monkeypatch):
    """The number of epochs grows with the classes: in this run from 26 to 51."""
    monkeypatch.chdir(tmp_path)
    folder = raw({f"{k:03}": paper(2, k) for k in range(100)})
    few, all_ = (Config(batch_size=40_000).epochs_for(200, classes) for classes in (12, 100))

    def stop(self, trainer):
        if len(trainer.history) == few:
            os.kill(os.getpid(), 2)

    monkeypatch.setattr(CNNClassifier, "_warn_if_stuck", stop)
    code, out, err = run("train", "--raw-data-path", folder, "--batch-size", 40_000, "--device", "cpu")
    assert (code, out, few, all_) == (130, "", 26, 51) and f"Interrupted in epoch {few + 1}" in err


@pytest.fixture
def model(drawn, quick, tmp_path, monkeypatch):
    """A model that was not trained, and ten images, in the working directory."""
    CNNClassifier(quick(), drawn.classes).save(tmp_path / "model.ckpt")
    for i, image in enumerate(drawn.x[:10]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    return CNNClassifier.load("model.ckpt", "cpu")


def test_predictions_are_a_table_and_what_cannot_be_read_is_counted(drawn, model, run):
    with zipfile.ZipFile("few.zip", "w") as archive:
        archive.write("7.png", "a/7.png")
        archive.writestr("a/8.png", b"no image")
    code, out, err = run("predict", "model.ckpt", "few.zip", "gone.png", "3.png", "--device", "cpu")
    assert code == 2 and err.splitlines() == [
        "few.zip/a/8.png: not readable as an image: not an image, judging by its content",
        "gone.png: no such file",
    ]
    header, *rows = [line.split(",") for line in out.splitlines()]
    assert header[:5] == ["file", "predicted", "probability", "predicted_2", "probability_2"] and len(header) == 11
    assert [row[0] for row in rows] == ["few.zip/a/7.png", "3.png"]
    for row, p in zip(rows, model.predict_proba(drawn.x[[7, 3]]), strict=True):
        assert row[1] == drawn.classes[p.argmax()] and len(set(row[1::2])) == 5
        np.testing.assert_allclose([float(value) for value in row[2::2]], np.sort(p)[:-6:-1], atol=1e-5)


def test_any_file_name_can_be_written(drawn, model, monkeypatch):
    """Also one that is not UTF-8, on a terminal that knows ASCII alone."""
    name = os.fsdecode(b"\xff.png")
    os.rename("3.png", name)
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert fit_char.main(["predict", "model.ckpt", name, "--device", "cpu"]) == 0
    predicted = drawn.classes[model.predict(drawn.x[3])[0]]
    assert out.buffer.getvalue().splitlines()[1].startswith(b"\xff.png," + predicted.encode())


def test_a_reader_that_has_seen_enough_ends_it_quietly(model):
    words = [*CALL, "predict", "model.ckpt", "?.png"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device")
def test_output_that_is_closed_or_full_ends_in_no_traceback(tmp_path, monkeypatch, capsys):
    words = ["runs", "--record-path", str(tmp_path)]
    assert subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *CALL, *words]).returncode == 0
    with open("/dev/full", "w") as full, monkeypatch.context() as without_space:
        without_space.setattr(sys, "stdout", full)
        assert fit_char.main(words) == fit_char.ERROR
    assert capsys.readouterr().err == "fit_char: No space left on device: free some, and run it again\n"
