import io
import json
import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn
from tqdm import tqdm

from classifier import CNNClassifier
from common.errors import InputError
from config import Config
from dataset import load, split
from init import pick_device, prepare, start_logging, suit_cpu
from models import MODELS


@pytest.fixture
def few_drawn(monkeypatch):
    """Let 3 images of each character be drawn, instead of 620."""
    monkeypatch.setattr("readers.drawn.PER_CLASS", 3)


# ---------------------------------------------------------------------------------------------- logging and devices


def test_log_lines_are_plain_lines_on_standard_output(capsys):
    log = start_logging()
    assert log is logging.getLogger("fit_char") is start_logging("INFO")
    log.info("%s is up to date.", "data.npz")
    log.warning("two\nlines")
    log.debug("not this")
    assert capsys.readouterr() == ("data.npz is up to date.\ntwo\nlines\n", "")


def test_starting_twice_prints_no_line_twice(capsys):
    for _ in range(3):
        log = start_logging()
    log.info("once")
    assert capsys.readouterr().out == "once\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_standard_output_cannot_encode_do_not_end_a_run(monkeypatch, encoding):
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", output)
    start_logging().info("学")
    print("\udcff")  # as in the name of a file that cannot be decoded
    output.flush()
    name = "学" if encoding == "utf-8" else "\\u5b66"
    assert output.buffer.getvalue().decode(encoding).split() == [name, "\\udcff"]


def test_a_root_logger_of_the_user_does_not_repeat_the_lines(capsys):
    seen = logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(seen)
    try:
        start_logging().info("once")
    finally:
        logging.getLogger().removeHandler(seen)
    assert capsys.readouterr().out == "once\n" and seen.stream.getvalue() == ""


def test_a_level_silences_what_is_below_it(capsys):
    log = start_logging("ERROR")
    log.info("an info")
    log.warning("a warning")
    log.error("an error")
    assert capsys.readouterr().out == "an error\n"
    start_logging(logging.DEBUG).debug("a detail")
    assert capsys.readouterr().out == "a detail\n"


def test_lines_do_not_break_a_progress_bar(capsys):
    with tqdm(total=2, file=io.StringIO()) as bar:
        bar.update()
        start_logging().info("a line")
    assert capsys.readouterr().out == "a line\n"


def test_pick_device():
    assert pick_device("cpu") == torch.device("cpu")
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device("auto").type == expected
    for name in ("cuba", "cuba:1"):
        with pytest.raises(InputError) as caught:
            pick_device(name)
        assert str(caught.value) == f"unknown device {name!r}: did you mean 'cuda'?"
    with pytest.raises(InputError, match="^unknown device 'cpu:x': did you mean 'cpu'?"):
        pick_device("cpu:x")
    with pytest.raises(InputError, match="^device 'cuda:99' is not on this machine: use device='auto'$"):
        pick_device("cuda:99")


class Small(nn.Sequential):
    """Takes images of any size, as ResNet18 does, and less time and space."""

    input_size = 224

    def __init__(self, in_channels: int, classes: int):
        super().__init__(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(64 * in_channels, classes))


def test_a_slow_cpu_gets_a_reduced_run_which_an_interrupted_one_repeats(quick, drawn, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("training.pace.measured", {})
    monkeypatch.setattr("training.pace.measured_speed", lambda config, device: 50)
    monkeypatch.setitem(MODELS, "ResNet18", Small)
    default = quick(model="ResNet18", epochs=None)
    chosen = suit_cpu(default)
    assert (chosen.input_size, chosen.samples_seen) == (32, 66_960) and chosen.hash_id != default.hash_id
    images = drawn.subset(np.arange(0, 480, 10))

    def stop(history, folder):
        raise KeyboardInterrupt

    run = CNNClassifier(chosen, images.classes)
    with pytest.raises(KeyboardInterrupt):
        run.fit(images, callbacks=[stop])
    (folder,) = (tmp_path / "record").iterdir()
    about = json.loads((folder / "environment.json").read_text())
    assert about["measured_images_per_second"] == {"ResNet18 64×64": 50, "ResNet18 48×48": 50, "ResNet18 32×32": 50}
    assert json.loads((folder / "config.json").read_text())["input_size"] == about["input_size"] == 32
    monkeypatch.setattr("training.pace.measured_speed", lambda config, device: 1000)
    capsys.readouterr()
    assert suit_cpu(default) == chosen
    assert capsys.readouterr().out == "ResNet18 is trained at 32×32 pixels, as in the interrupted run.\n"
    assert suit_cpu(replace(default, resume=False)) == replace(default, resume=False)
    staged = replace(default, init_from=str(run.checkpoint_), resume=False)
    assert suit_cpu(staged).input_size == 32, "that of the weights it starts from"


def test_what_is_only_tested_is_not_timed(quick, monkeypatch):
    monkeypatch.delattr("training.pace.measured_speed")
    for config in (quick(model="ResNet18", epochs=None, mode="test"), quick(), quick(model="ResNet18")):
        assert suit_cpu(config) is config


# ---------------------------------------------------------------------------------------------- prepare


def test_without_images_characters_are_drawn_and_called_synthetic(tmp_path, monkeypatch, capsys, few_drawn):
    monkeypatch.chdir(tmp_path)
    images = load(prepare(Config()))
    assert images.classes == list("博学笃志切问近思自由无用") and len(images) == 36
    assert images.source.startswith("synthetic") and "from synthetic handwriting" in capsys.readouterr().out
    prepare(Config())
    assert "is up to date" in capsys.readouterr().out
    assert load(prepare(Config(stored_size=20))).shape == (36, 20, 20)


def test_raw_images_replace_drawn_ones(tmp_path, monkeypatch, raw, paper, few_drawn):
    monkeypatch.chdir(tmp_path)
    prepare(Config())
    raw({"a": paper(2), "b": paper(2, 1)}, "data/raw")
    assert load(prepare(Config())).classes == ["a", "b"]


@pytest.mark.parametrize("name", ["a/1.heic", "a/1.svg", "notes.txt", "set.rar", "a"])
def test_raw_data_is_never_replaced_by_drawn_characters(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data/raw" / name
    path.parent.mkdir(parents=True)
    if name == "a":  # a class folder on a disk that is not there
        path.symlink_to(tmp_path / "none")
    else:
        path.write_bytes(b"x")
    with pytest.raises(InputError, match="raw"):
        prepare(Config())
    assert not (tmp_path / "data/data.npz").exists()


def test_raw_data_of_linked_folders_and_unusual_formats_is_read(tmp_path, monkeypatch, raw, paper):
    monkeypatch.chdir(tmp_path)
    raw({"a": paper(2)}, "elsewhere", ".jfif")
    raw({"b": paper(2, 1)}, "elsewhere", ".pgm")
    (tmp_path / "data/raw").mkdir(parents=True)
    for name in "ab":
        (tmp_path / "data/raw" / name).symlink_to(tmp_path / "elsewhere" / name)
    assert load(prepare(Config())).classes == ["a", "b"]


def test_an_npz_of_the_users_is_used_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "mine.npz", x=np.zeros((2, 8, 8), np.uint8), y=[0, 1])
    former = (tmp_path / "mine.npz").read_bytes()
    assert load(prepare(Config(data_path="mine.npz"))).classes == ["0", "1"]
    assert capsys.readouterr().out == "mine.npz is used as it is: there are no images in ./data/raw.\n"
    assert (tmp_path / "mine.npz").read_bytes() == former


def test_a_raw_npz_is_prepared(tmp_path, drawn):
    np.savez(tmp_path / "raw.npz", x=drawn.x[:80], y=drawn.y[:80])
    config = Config(raw_data_path=str(tmp_path / "raw.npz"), data_path=str(tmp_path / "data.npz"), stored_size=32)
    assert load(prepare(config)).shape == (80, 32, 32) and load(tmp_path / "data.npz").source == "raw.npz"


def test_a_folder_that_was_named_must_be_there(tmp_path):
    config = Config(raw_data_path=str(tmp_path / "none"), data_path=str(tmp_path / "data.npz"))
    with pytest.raises(InputError, match="none does not exist: give a folder with one sub-folder per class"):
        prepare(config)


def test_a_data_npz_of_an_earlier_version_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "tests/files/data.npz", tmp_path / "data.npz")
    images = load(prepare(Config(data_path="data.npz")))
    assert len(images.classes) == 2 and len(images) == len(load(ROOT / "tests/files/data.npz"))


def test_characters_are_drawn_instead_of_images(stroke_data, quick, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = quick(characters="二人T", drawn_per_class=4, stored_size=32, data_path="data.npz")
    images = load(prepare(config))
    assert images.classes == ["二", "人", "T"] and images.shape == (12, 32, 32)
    assert "synthetic" in images.source and "CC BY-SA 3.0" in images.source and "Arphic Public License" in images.source
    train, val = split(images, 0.25)
    assert not set(train.group) & set(val.group) and len(set(val.group)) == 1, "drawn writers are kept apart"
    assert capsys.readouterr().out.startswith("12 images of 3 classes from synthetic handwriting")
    prepare(config)
    assert capsys.readouterr().out.startswith("data.npz is up to date")
    prepare(quick(data_path="data.npz"))
    assert load("data.npz").classes == list("博学笃志切问近思自由无用"), "without a name, the twelve are drawn again"


@pytest.mark.parametrize("named", [{}, {"raw_data_path": "./data/raw"}])
def test_images_that_characters_replace_are_named(stroke_data, quick, raw, paper, tmp_path, monkeypatch, capsys, named):
    monkeypatch.chdir(tmp_path)
    raw({"二": paper(2), "人": paper(2, 1)}, "data/raw")
    config = quick(characters="二人", drawn_per_class=4, data_path="data.npz", **named)
    assert len(load(prepare(config))) == 8
    warning = "The images in ./data/raw are not used: set raw_data_path=data/raw to use both.\n"
    assert capsys.readouterr().out.startswith(warning)
    assert replace(config, raw_data_path="data/raw").adds_drawn


def test_a_character_without_strokes_is_named(stroke_data, quick):
    with pytest.raises(InputError, match="no strokes are known of 1 of the characters: 水"):
        prepare(quick(characters="二水"))
