"""The model card says what the run knows, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from export.model_card import model_card
from export.trained import Measured
from readers.characters import CharactersSource
from readers.drawn import DrawnSource
from training.evaluation import Predictions


def section(card: str, title: str) -> str:
    return card.partition(f"## {title}\n\n")[2].partition("\n## ")[0]


def test_a_run_with_all_that_belongs_to_it(lenet, drawn):
    y = np.repeat(np.arange(12), 10)
    predicted = y.copy()
    predicted[:3], predicted[10] = 5, 0
    logits = torch.nn.functional.one_hot(torch.from_numpy(predicted)).float()
    predictions = Predictions.from_logits(logits, torch.from_numpy(y))
    measured = Measured(lenet.trained.measure(drawn.subset(range(60))).accuracy, predictions)
    int8 = {
        "bytes": {"original": 44_000_000, "int8": 11_000_000},
        "milliseconds": {"original": {1: 2.0, 256: 300.0}, "int8": {1: 1.0, 256: 100.0}},
        "accuracy": measured.accuracy, "mcnemar": {"verdict": "no significant difference"}, "faster": True,
    }  # fmt: skip
    card = model_card(lenet.trained, measured, lenet.train, int8)
    assert card.startswith("# LeNet for 12 classes\n")
    assert "28×28 pixels" in section(card, "What it reads") and "博 学 笃" in section(card, "What it reads")
    training = section(card, "What it was trained on")
    assert f"`{lenet.train.fingerprint()}`" in training and "240 images, 20 per class" in training
    assert "n = 60" in section(card, "How accurate it is") and "test images" in section(card, "How accurate it is")
    assert "expected calibration error" in section(card, "How accurate it is")
    assert "| 博 | 问 | 3 | 10 |" in section(card, "Where it errs")
    assert "The least accurate classes: 博 (70.0%), 学 (90.0%)." in section(card, "Where it errs")
    assert "| int8 | 11.00 | 1.00 | 100.0 |" in section(card, "In int8") and "kept" in section(card, "In int8")
    assert "python fit_char.py train --epochs 1" in section(card, "How to repeat it")


def test_the_command_names_no_folder_of_this_machine(lenet, drawn, tmp_path):
    trained = replace(lenet.trained, config=replace(lenet.trained.config, raw_data_path=str(tmp_path / "images.zip")))
    predictions = Predictions.from_logits(torch.eye(12)[[0, 1]], torch.arange(2))
    card = model_card(trained, Measured(lenet.trained.measure(drawn.subset(range(60))).accuracy, predictions))
    assert "--raw-data-path images.zip" in section(card, "How to repeat it") and str(tmp_path) not in card


def test_names_are_shown_as_they_are(lenet, drawn):
    """In one line, whatever they would mean in Markdown or HTML, and so that one can tell where each ends."""
    names = ["<b>a|b</b>", "*_\\`c`_*", "two\nlines", "[d](e) &amp;", *lenet.trained.classes[4:]]
    predictions = Predictions.from_logits(torch.eye(12)[[1, 0, 3, 2]], torch.arange(4))
    measured = Measured(lenet.trained.measure(drawn.subset(range(60))).accuracy, predictions)
    card = model_card(replace(lenet.trained, classes=names), measured)
    shown = [r"\<b>a\|b\</b>", r"\*\_\\\`c\`\_\*", "two lines", r"\[d\](e) \&amp;"]
    assert f"- Its classes: {', '.join(shown)}, 切, " in card
    assert f"| {shown[0]} | {shown[1]} | 1 | 1 |" in card and f"| {shown[2]} | {shown[3]} | 1 | 1 |" in card
    assert f"{shown[1]} (0.0%)" in card


def test_it_says_what_the_held_out_images_chose(lenet, drawn):
    accuracy = lenet.trained.measure(drawn.subset(range(60))).accuracy
    said = {
        ("test", 60): "on test images, which chose nothing.",
        ("validation", 50): "on validation images, which also chose the epoch and the temperature: slightly",
        ("validation", 49): "on validation images, which chose nothing.",  # too few: the last epoch is kept
    }
    for (part, n), words in said.items():
        card = model_card(lenet.trained, Measured(accuracy | {"on": part, "n": n}))
        assert words in section(card, "How accurate it is")


def test_a_run_of_which_little_is_known(lenet):
    trained = replace(lenet.trained, metrics=None, run=None)
    card = model_card(trained, trained.measure(None))
    assert "Unknown: no image was held out." in card
    assert "## Where it errs" not in card and "## In int8" not in card


@pytest.mark.parametrize("source", [DrawnSource.name, CharactersSource("0123456789").name])
def test_synthetic_images_are_said_to_be(lenet, source):
    assert "real, as far as the program knows" in model_card(lenet.trained, Measured(None))
    trained = replace(lenet.trained, run=lenet.trained.run | {"source": source})
    card = model_card(trained, Measured(None))
    assert "synthetic: drawn by a program" in card and "Trained on no real handwriting" in card
    trained = replace(lenet.trained, run=lenet.trained.run | {"source": f"scans, and {source}"})
    card = model_card(trained, Measured(None))
    assert f"- Source: scans, and {source} (partly synthetic)." in card and "no real handwriting" not in card
