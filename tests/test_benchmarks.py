"""Each benchmark runs for a moment, so that it keeps working. What it measures is not asserted."""

import importlib
import json
from pathlib import Path
from unittest.mock import patch

import matplotlib
import pytest
import torch
from matplotlib import get_data_path
from PIL import Image

from models import MODELS


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs a benchmark in this process, which has torch already, and returns what it printed."""

    def run(name: str, *options: object) -> str:
        monkeypatch.setattr("sys.argv", [name, *map(str, options)])
        importlib.import_module(f"benchmarks.{name}").main()
        return capsys.readouterr().out

    threads = torch.get_num_threads()
    with patch.dict(MODELS):  # to which benchmarks add
        yield run
    torch.set_num_threads(threads)


def read_json(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def images(raw, drawn):
    return raw({f"{k:02}": drawn.x[drawn.y == k][:12] for k in range(12)})


def test_speed(run, tmp_path):
    output = tmp_path / "speed.json"
    chosen = ["ours", "ours, augmented", "plain loop", "report"]
    text = run("speed", "--images", 128, "--rounds", 1, "--device", "cpu", "--output", output, "--only", *chosen)
    figures = read_json(output)
    assert list(figures["images_per_second"]) == chosen and figures["environment"]["device_name"]
    assert text.count("images/s") == 4


def test_time_to_accuracy(run, tmp_path, images):
    output = tmp_path / "time.json"
    few = ["--seeds", 2, "--report-epochs", 1, "--device", "cpu", "--output", output]
    text = run("time_to_accuracy", images, "--target", 0.05, *few)
    figures = read_json(output)
    assert len(figures["ours_seconds"]) == 2 and len(figures["report_seconds"]) == 3
    assert "times ours" in text


def test_costs(run, tmp_path):
    output = tmp_path / "costs.json"
    few = ["--images", 240, "--base", 60, "--epochs", 2, "--rounds", 1, "--records", 5]
    text = run("costs", *few, "--output", output)
    figures = read_json(output)
    assert [row["images"] for row in figures["growth"].values()] == [60, 240, 960]
    assert min(figures["single"].values()) > 0 and "the bare model" in text


def test_large(run, tmp_path):
    output, font = tmp_path / "large.json", Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    few = ["--classes", 4, "--per-class", 20, "--resident", 40, "--rounds", 1, "--fonts", font]
    text = run("large", "--folder", tmp_path / "scratch", *few, "--output", output)
    figures = read_json(output)
    assert {row["images"] for row in figures["stages"]} == {80} and figures["resident"]["ratio"] > 0
    assert {"preparation", "split", "audit", "an epoch", "evaluate"} <= {row["stage"] for row in figures["stages"]}
    assert figures["recall"]["recall"] == 1 and "near-duplicates among 160 images" in text, "all are compared with all"
    assert "of the rate of the same 40 images in memory" in text
    assert (tmp_path / "scratch/data.arrays/x.npy").stat().st_size == 128 + 80 * 64 * 64


def test_recipe(run, tmp_path, images):
    output = tmp_path / "recipe.json"
    words = ["--folds", 2, "--set", "samples_seen=200", "--output", output, "--only", "recipe", "no averaged weights"]
    text = run("recipe", images, *words)
    figures = read_json(output)["variants"]
    assert list(figures) == ["recipe", "no averaged weights"] and len(figures["recipe"]["predicted"]) == 144
    assert "five shifts averaged" in text and text.count("fold 2 of 2") == 2
    assert "fold 1 of 2" not in run("recipe", images, *words), "what is there is not run again"


def test_recipe_of_drawn_characters(run, tmp_path, images):
    output = tmp_path / "drawn.json"
    words = ["--drawn", "--folds", 2, "--set", "epochs=1", "--output", output, "--only", "recipe", "no shift"]
    assert "no shift" in run("recipe", images, *words)
    figures = read_json(output)["variants"]
    assert [len(one["accuracies"]) for one in figures.values()] == [2, 2] and figures["recipe"]["errors"][0]


def test_recipe_by_rules_of_which_epoch_is_kept(run, tmp_path, images):
    output = tmp_path / "rules.json"
    text = run("recipe", images, "--rules", "--folds", 2, "--set", "epochs=3", "--output", output)
    figures = read_json(output)["variants"]
    assert list(figures) == ["best validation epoch", "one standard error", "last epoch"]
    assert figures["last epoch"]["epochs"] == [3, 3] and len(figures["last epoch"]["predicted"]) == 144
    assert "p against the best validation epoch" in text and text.count("epochs kept of 3") == 2


def test_held_out(run, tmp_path, raw, drawn):
    output, few = tmp_path / "held_out.json", [drawn.y == k for k in range(3)]
    for part, kept in ("train", slice(12)), ("test", slice(12, 16)):
        raw({str(k): drawn.x[one][kept] for k, one in enumerate(few)}, f"images/{part}")
    words = ["--seeds", 2, "--device", "cpu", "--set", "epochs=1", "--output", output]
    text = run("held_out", tmp_path / "images", *words)
    assert [one["n"] for one in read_json(output)["runs"]] == [12, 12] and "2 seeds: mean" in text


def test_scaling(run, tmp_path, images):
    output, one = tmp_path / "scaling.json", ["--models", "LeNet", "--steps", 1, "--rounds", 1]
    larger = ["--images", images, "--batches", 64, "--rules", "linear", "--samples-seen", 200]
    text = run("scaling", *one, "--processes", 1, 2, *larger, "--output", output)
    figures = read_json(output)
    assert [row["processes"] for row in figures["processes"]] == [1, 2] and figures["processes"][1]["sum"] > 0
    assert [row["gpus"] for row in figures["gpus"]] == [8, 64] and "90 % from" in text
    assert figures["batches"][0]["rate"] == 0.003 and figures["batches"][0]["n"] > 0


def test_many_classes(run, tmp_path):
    output, fonts = tmp_path / "many.json", get_data_path() + "/fonts/ttf"
    words = ["--fonts", fonts, "--characters", "ABC", "--classes", 3, "--per-class", 4, "--val", 2, "--samples", 12]
    assert "12 samples, 1 epoch: " in run("many_classes", *words, "--device", "cpu", "--output", output)
    (one,) = read_json(output)["runs"].values()
    assert one["n"] == 6 and one["epochs"] == 1
    assert "12 samples" not in run("many_classes", *words, "--output", output), "what is there is not run again"


def test_photos(run, tmp_path):
    output = tmp_path / "photos.json"
    text = run("photos", "--epochs", 1, "--count", 1, "--output", output)
    assert read_json(output)["accuracy"]["clean images"]["n"] == 12 and "photos as they are" in text


def test_gpu(run, tmp_path, images):
    run("gpu", images, "--device", "cpu", "--quick", "--output", tmp_path / "gpu")
    summary = read_json(tmp_path / "gpu" / "summary.json")
    assert summary["matrix_rate"] > 0 and summary["LeNet, data streamed or resident"]["streamed"] > 0
    assert summary["ResNet18, batches of 64"]["part of the matrix rate"] > 0 and summary["LeNet"]["ours"] > 0


def test_characters(run, tmp_path, raw, paper):
    images = raw({"1": paper(4), "7": paper(4, 1)})
    words = ["--per-class", 12, "--seeds", 2, "--device", "cpu", "--set", "epochs=1", "--output", tmp_path / "c.json"]
    text = run("characters", images, "--half", "second", *words)
    runs = read_json(tmp_path / "c.json")["runs"]
    assert [one["n"] for one in runs] == [4, 4] and set(runs[0]["per_class"]) == {"7"} and "median of 2" in text


def test_few(run, tmp_path, raw, paper):
    images = raw({"1": paper(4), "7": paper(4, 1)})
    words = ["--per-class", 12, "--counts", 0, 2, "--set", "epochs=1", "--output", tmp_path / "few.json"]
    text = run("few", images, "--characters", "17", "--device", "cpu", *words)
    figures = read_json(tmp_path / "few.json")["accuracies"]
    assert list(figures["0"]) == ["drawn alone"] and "both together" in text
    assert list(figures["2"]) == ["real alone", "drawn, then real", "both together", "in their style"]
    text = run("few", images, "--characters", "17", "--device", "cpu", *words, "--folds", 2)
    misclassified = read_json(tmp_path / "few.json")["misclassified"]
    ways = ["real alone", "real alone, shifts averaged", "in their style", "in their style, shifts averaged"]
    assert list(misclassified) == ways and all(0 <= count <= 8 for count in misclassified.values())
    assert "of 8 misclassified" in text


def test_scripts(run, tmp_path):
    run("scripts", tmp_path / "grid.png", "--size", 20, "--rows", "01", "Ab")
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (40, 40)
