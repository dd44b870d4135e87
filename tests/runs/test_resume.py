"""A stopped run continues as if nothing had happened; other runs keep their files to themselves."""

import contextlib
import csv
import json
import shutil
from dataclasses import fields

import pytest
import torch
from conftest import same, without_seconds
from torchvision.transforms import Compose, Resize, ToTensor

import runs.resume
import runs.state
from classifier import CNNClassifier
from common.errors import StorageError
from config import Config
from runs import checkpoint
from runs.identity import ADDED
from runs.state import StateFile


class Stop(Exception):
    """Stands for whatever ends a process."""


def stop_after(epoch: int):
    def callback(history, folder):
        if len(history) == epoch:
            raise Stop

    return callback


def fitted(config, halves, stop=None) -> CNNClassifier:
    classifier = CNNClassifier(config, halves[0].classes)
    callbacks = [stop_after(stop)] if stop else []
    with contextlib.suppress(Stop):
        classifier.fit(*halves, callbacks)
    return classifier


@pytest.mark.parametrize("recipe", ["default", "report"])
def test_a_stopped_run_continues_as_if_nothing_had_happened(halves, quick, tmp_path, capsys, recipe):
    options = {"recipe": recipe, "epochs": 4, "batch_size": 64, "learning_rate": 0.01}
    whole = fitted(quick(**options, save_path=str(tmp_path / "whole/best.ckpt")), halves)
    stopped = fitted(quick(**options), halves, stop=2)
    folder = stopped.record_.folder
    with open(folder / "history.csv", "a") as file:
        file.write("3,of an epoch whose end was not reached\n")
    capsys.readouterr()
    resumed = fitted(quick(**options), halves)
    line = f"{tmp_path / 'save/LeNet_last.ckpt'}: continuing after epoch 2 of {folder.name}\n"
    assert line in capsys.readouterr().out
    assert without_seconds(resumed.history_) == without_seconds(whole.history_)
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    assert (resumed.best_epoch_, resumed.metrics_) == (whole.best_epoch_, whole.metrics_)
    kept, other = (torch.load(c.checkpoint_, weights_only=True) for c in (resumed, whole))
    assert same(kept["state_dict"], other["state_dict"]) and kept["metrics"] == other["metrics"]
    assert resumed.record_.folder == folder and len(list((tmp_path / "record").iterdir())) == 2
    with open(folder / "history.csv", encoding="utf-8") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]
    assert json.loads((folder / "metrics.json").read_text())["best_epoch"] == whole.best_epoch_
    assert (folder / "log.txt").read_text(encoding="utf-8").count("  continuing after epoch 2\n") == 1
    fitted(quick(**options), halves)  # a finished run is not continued
    assert "continuing" not in capsys.readouterr().out


FORMER_NAMES = {
    "samples_seen": "images_shown", "ema_decay": "weight_average", "stored_size": "raw_size",
    "input_size": "image_size", "input size": "image size", "ema": "averaged", "global_step": "taken",
}  # fmt: skip


def format_1(state: dict) -> dict:
    """Return a state as format 1 had it."""
    former = state | {"format": 1}
    for part in ("identity", "training"):
        former[part] = {FORMER_NAMES.get(key, key): value for key, value in state[part].items()}
    return former


@pytest.mark.parametrize("changes", [{}, {"recipe": "report"}])
def test_a_state_of_format_1_continues_bit_for_bit(halves, quick, tmp_path, capsys, changes):
    options = {"epochs": 3, "batch_size": 64, "learning_rate": 0.01} | changes
    small = halves[0].subset(range(0, 384, 3)), halves[1].subset(range(0, 96, 3))
    whole = fitted(quick(**options, save_path=str(tmp_path / "whole/best.ckpt")), small)
    stopped = fitted(quick(**options), small, stop=2)
    path = tmp_path / f"save/{stopped.config.model}_last.ckpt"
    former = format_1(torch.load(path, weights_only=True))
    assert set(former["training"]) == {"model", "averaged", "optimizer", "taken"}
    assert {"images_shown", "weight_average", "raw_size", "image_size", "image size"} <= former["identity"].keys()
    assert not {"samples_seen", "ema_decay", "stored_size", "input_size", "input size"} & former["identity"].keys()
    torch.save(former, path)
    capsys.readouterr()
    resumed = fitted(quick(**options), small)
    name = stopped.record_.folder.name
    assert f"{path}: continuing after epoch 2 of {name}\n" in capsys.readouterr().out
    assert without_seconds(resumed.history_) == without_seconds(whole.history_)
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    kept, other = (torch.load(c.checkpoint_, weights_only=True) for c in (resumed, whole))
    assert same(kept["state_dict"], other["state_dict"]) and kept["epoch"] == other["epoch"]
    assert resumed.record_.folder == stopped.record_.folder
    assert not path.exists(), "there is nothing left to continue"


def test_a_state_of_format_1_and_other_parameters_is_described_in_present_names(halves, quick, tmp_path, capsys):
    fitted(quick(epochs=3), halves, stop=1)
    path = tmp_path / "save/LeNet_last.ckpt"
    torch.save(format_1(torch.load(path, weights_only=True)), path)
    before = path.read_bytes()
    fitted(quick(epochs=3, ema_decay=0.5), halves)
    why = "unfinished after epoch 1: it has ema_decay 0.99, now 0.5. This run starts from the beginning"
    assert f"{path} holds another run, {why}" in capsys.readouterr().out
    assert path.read_bytes() == before


def test_what_differs_starts_from_the_beginning_and_says_why(halves, quick, tmp_path, capsys):
    fitted(quick(epochs=4), halves, stop=2)
    other = fitted(quick(epochs=5), halves)
    path = tmp_path / "save/LeNet_last.ckpt"
    assert (
        f"{path} holds another run, unfinished after epoch 2: it has epochs 4, now 5. This run starts from the "
        "beginning; set the same parameters again to continue that one, or delete the file (1.2 MB).\n"
    ) in capsys.readouterr().out
    assert len(other.history_) == 5
    assert list((tmp_path / "save").glob("LeNet_last*")) == [path], "the state of a finished run goes"
    assert [path.name for path in (tmp_path / "save").glob(".*_last*.lock")] in ([], [".LeNet_last.ckpt.lock"])
    fitted(quick(epochs=4), (halves[0].subset(range(100)), halves[1]), stop=1)
    assert "it has train '" in capsys.readouterr().out
    fitted(quick(epochs=4, resume=False), halves, stop=1)
    assert "continuing" not in capsys.readouterr().out
    fitted(quick(epochs=4), halves)  # the first is still there
    assert "continuing after epoch 2" in capsys.readouterr().out


def test_a_run_whose_record_is_deleted_ends_in_words_and_goes_on_in_a_new_one(halves, quick, tmp_path):
    def delete(history, folder):
        if len(history) == 2:
            shutil.rmtree(tmp_path / "record")

    whole = fitted(quick(epochs=4, save_path=str(tmp_path / "whole/best.ckpt")), halves)
    with pytest.raises(StorageError, match="record"):
        CNNClassifier(quick(epochs=4), halves[0].classes).fit(*halves, [delete])
    resumed = fitted(quick(epochs=4), halves)
    assert without_seconds(resumed.history_) == without_seconds(whole.history_)
    with open(resumed.record_.folder / "history.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_a_state_that_names_a_folder_of_the_user_s_as_its_record_writes_nothing_there(halves, quick, tmp_path):
    fitted(quick(epochs=2), halves, stop=1)
    own = tmp_path / "own"
    own.mkdir()
    (own / "history.csv").write_text("mine")
    path = tmp_path / "save/LeNet_last.ckpt"
    state = runs.state.read_state(path)
    checkpoint.write(path, state | {"record": str(own)})
    resumed = fitted(quick(epochs=2), halves)
    assert len(resumed.history_) == 2 and resumed.record_.folder.parent == tmp_path / "record"
    assert [(file.name, file.read_text()) for file in own.iterdir()] == [("history.csv", "mine")]


def test_a_slow_state_is_written_in_a_tenth_of_the_time(halves, quick, monkeypatch):
    written, now = [], [100.0]

    def write(self, **content):
        written.append(len(content["history"]))
        now[0] += 2.0

    monkeypatch.setattr(runs.resume, "SLOW", 1.0)
    monkeypatch.setattr(StateFile, "write", write)
    monkeypatch.setattr(runs.resume.time, "perf_counter", lambda: now[0])

    def an_epoch_takes_6_seconds(history, folder):
        now[0] += 6.0

    CNNClassifier(quick(epochs=9), halves[0].classes).fit(*halves, [an_epoch_takes_6_seconds])
    assert written == [1, 4, 7, 9]


def test_two_live_runs_have_a_file_each(tmp_path):
    first, second = (StateFile(tmp_path / "best.ckpt", "LeNet", name, {"a": 1}, True) for name in ("x", "y"))
    assert (first.path.name, second.path.name) == ("LeNet_last.ckpt", "LeNet_last.y.ckpt")
    for state in (first, second):
        state.write(run={"name": "x"}, record=None, history=[{"epoch": 1}], best={}, training={})
        state.close()
    again = [StateFile(tmp_path / "best.ckpt", "LeNet", "z", {"a": 1}, True) for _ in range(3)]
    assert [state.path.name for state in again] == ["LeNet_last.ckpt", "LeNet_last.y.ckpt", "LeNet_last.z.ckpt"]
    assert [state.content is None for state in again] == [False, False, True]
    for state in again:
        state.close()


def test_a_run_of_as_many_epochs_as_a_config_allows_can_go_on(halves, quick, tmp_path):
    epochs = next(field.metadata["high"] for field in fields(Config) if field.name == "epochs")
    (row,) = fitted(quick(epochs=1), halves).history_
    history = [row | {"epoch": epoch, "train_loss": epoch / 3} for epoch in range(1, epochs + 1)]
    state = StateFile(tmp_path / "best.ckpt", "LeNet", "x", {"a": 1}, True)
    state.write(run={"name": "x"}, record=None, history=history, best={}, training={})
    state.close()
    again = StateFile(tmp_path / "best.ckpt", "LeNet", "y", {"a": 1}, True)
    assert again.content["history"] == history
    again.close()


def test_columns_of_different_lengths_are_no_state(tmp_path, capsys):
    content = {"identity": {"a": 1}, "run": {"name": "x"}, "record": None, "best": {}, "training": {}}
    checkpoint.write(tmp_path / "LeNet_last.ckpt", content | {"history": {"epoch": [1, 2], "train_loss": [0.5]}})
    StateFile(tmp_path / "best.ckpt", "LeNet", "y", {"a": 1}, True).close()
    assert "the columns of its history differ in length; it is left as it is" in capsys.readouterr().out


def test_a_live_run_of_the_same_parameters_is_left_alone(tmp_path, capsys):
    first = StateFile(tmp_path / "best.ckpt", "LeNet", "x", {"a": 1}, True)
    first.write(run={"name": "x"}, record=None, history=[{"epoch": 1}], best={}, training={})
    second = StateFile(tmp_path / "best.ckpt", "LeNet", "y", {"a": 1}, True)
    assert second.content is None
    assert "unfinished after epoch 1: it is still running. This run starts" in capsys.readouterr().out
    for state in (first, second):
        state.close()


def test_a_run_that_cannot_begin_lets_the_next_one_have_its_file(halves, quick, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        CNNClassifier(quick(record_path=str(tmp_path / "file/record")), halves[0].classes).fit(*halves)
    fitted(quick(), halves, stop=1)
    assert list(tmp_path.glob("save/LeNet_last*")) == [tmp_path / "save/LeNet_last.ckpt"], caught


def test_a_save_folder_that_cannot_be_is_named(halves, quick, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="file cannot be written"):
        fitted(quick(save_path=str(tmp_path / "file/best.ckpt"), record_path=None), halves)


def test_a_state_whose_text_would_never_end_is_left(halves, quick, tmp_path, capsys):
    fitted(quick(epochs=3), halves, stop=1)
    path, nested = tmp_path / "save/LeNet_last.ckpt", [1]
    for _ in range(60):
        nested = [nested, nested]
    state = torch.load(path, weights_only=True)
    torch.save(state | {"identity": state["identity"] | {"epochs": nested}}, path)
    fitted(quick(epochs=3), halves, stop=1)
    assert f"{path} is not a usable checkpoint: its identity makes no sense; it is left" in capsys.readouterr().out


def test_a_state_is_read_when_it_is_locked(halves, quick, tmp_path, monkeypatch, capsys):
    """Between the reading of its identity and the lock, another process may have finished that run."""
    fitted(quick(epochs=3), halves, stop=1)
    acquire = runs.state.try_lock

    def finished_meanwhile(path):
        path.unlink(missing_ok=True)
        return acquire(path)

    with monkeypatch.context() as patch:
        patch.setattr(runs.state, "try_lock", finished_meanwhile)
        assert len(fitted(quick(epochs=3), halves).history_) == 3
    assert "continuing" not in capsys.readouterr().out


def test_an_earlier_run_of_one_second_has_another_checkpoint(halves, quick, tmp_path, monkeypatch):
    monkeypatch.setattr("runs.resume.run_name", lambda config: "20260101-000000_LeNet_12345678")
    monkeypatch.setattr("runs.record.run_name", lambda config: "20260101-000000_LeNet_12345678")
    configs = [quick(epochs=3, record_path=str(tmp_path / name), resume=False) for name in "ab"]
    one, other = (fitted(config, halves, stop=1) for config in configs)
    assert one.record_.folder.name == other.record_.folder.name
    assert one.checkpoint_ != other.checkpoint_ and one.checkpoint_.exists() and other.checkpoint_.exists()


def test_a_damaged_state_is_named_and_left(halves, quick, tmp_path, capsys):
    (tmp_path / "save").mkdir()
    (path := tmp_path / "save/LeNet_last.ckpt").write_bytes(b"not a state")
    fitted(quick(), halves)
    out = capsys.readouterr().out
    assert f"{path} is damaged or not a checkpoint: " in out and "; it is left as it is\n" in out
    assert path.read_bytes() == b"not a state"


# ---------------------------------------------------------------------------------------------- staged training


def staged(quick, tmp_path, halves, name: str):
    """Return the parameters of a second stage that starts from, and ends at, the checkpoint of a first one."""
    path = str(tmp_path / name / "best.ckpt")
    options = {"batch_size": 64, "save_path": path, "record_path": str(tmp_path / name / "record")}
    fitted(quick(epochs=2, learning_rate=0.01, **options), halves)
    return quick(epochs=4, learning_rate=0.005, init_from=path, **options)


def visible(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


@pytest.mark.parametrize("stops", [[1], [1, 2, 3], [4]])
def test_a_second_stage_that_ends_where_it_starts_goes_on(halves, quick, tmp_path, stops):
    whole = fitted(staged(quick, tmp_path, halves, "whole"), halves)
    config = staged(quick, tmp_path, halves, "stopped")
    path = tmp_path / "stopped/best.ckpt"
    start = path.read_bytes()
    for stop in stops:
        stopped = fitted(config, halves, stop)
        assert path.read_bytes() == start, "what a run starts from stays until it is finished"
        assert len(stopped.history_) == stop and stopped.checkpoint_ != path
    resumed = fitted(config, halves)
    assert without_seconds(resumed.history_) == without_seconds(whole.history_)
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    assert len(visible(tmp_path / "stopped")) == len(visible(tmp_path / "whole"))
    assert len(list((tmp_path / "stopped/record").iterdir())) == 2
    expected, found = (torch.load(c.checkpoint_, weights_only=True) for c in (whole, resumed))
    assert same(found["state_dict"], expected["state_dict"]) and found["epoch"] == expected["epoch"]


@pytest.mark.parametrize("owner, name", [(checkpoint, "publish"), (checkpoint, "_keep_copy"), (StateFile, "finish")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_second_stage_that_is_killed_at_its_end_goes_on(halves, quick, tmp_path, monkeypatch, owner, name, when):
    """Also if its weights have taken the place of those that it started from, which were of other images."""
    second = halves[0].subset(range(0, 384, 2)), halves[1]
    whole, config = staged(quick, tmp_path, halves, "whole"), staged(quick, tmp_path, halves, "killed")
    whole, call = fitted(whole, second), getattr(owner, name)

    def die(*arguments):
        if when == "after":
            call(*arguments)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        fitted(config, second)
    is_complete = (name, when) == ("finish", "after")
    assert len(list((tmp_path / "killed").glob("LeNet_last*"))) == (0 if is_complete else 1)
    resumed = CNNClassifier.load(config.save_path, device="cpu") if is_complete else fitted(config, second)
    assert is_complete or without_seconds(resumed.history_) == without_seconds(whole.history_)
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    assert (resumed.checkpoint_, resumed.best_epoch_) == (tmp_path / "killed/best.ckpt", whole.best_epoch_)
    assert len(visible(tmp_path / "killed")) == len(visible(tmp_path / "whole")) == 2, (
        "best, and that of the first stage"
    )


# ---------------------------------------------------------------------------------------------- what must be the same


def test_code_threads_and_torch_must_be_the_same(halves, quick, capsys, monkeypatch):
    config = quick(epochs=3)
    fitted(config, halves, stop=1)

    def reason() -> str:
        fitted(config, halves, stop=1)
        out = capsys.readouterr().out
        assert "continuing" not in out
        return out.partition("unfinished after epoch 1: it has ")[2]

    with monkeypatch.context() as patch:
        patch.setattr("models.LeNet.forward", lambda self, x: self.fc7(x.flatten(1)[:, :84]))
        assert ", model code '" in reason()
    with monkeypatch.context() as patch:
        patch.setattr("torch.get_num_threads", lambda: 3)
        assert reason().startswith("threads 1, now 3. This run starts")
    with monkeypatch.context() as patch:
        patch.setattr("torch.__version__", "2.0")
        assert reason().startswith("torch '2.")
    fitted(config, halves)
    assert "continuing after epoch 1" in capsys.readouterr().out


def test_the_transform_must_be_the_same(halves, quick, capsys):
    def both(size):
        return [part.with_transform(Compose([Resize(size), Resize(32), ToTensor()])) for part in halves]

    config = quick(recipe="report", epochs=2)
    fitted(config, both(20), stop=1)
    fitted(config, both(24), stop=1)
    assert "it has transforms '" in capsys.readouterr().out
    fitted(config, both(20))
    assert "continuing after epoch 1" in capsys.readouterr().out


def test_a_state_of_an_earlier_version_lacks_what_was_added(halves, quick, tmp_path, capsys):
    fitted(quick(epochs=2), halves, stop=1)
    path = tmp_path / "save/LeNet_last.ckpt"
    state = torch.load(path, weights_only=True)
    assert set(ADDED) < state["identity"].keys() and state.pop("checkpoint")
    for key in ADDED:
        del state["identity"][key]
    torch.save(state | {"finished": False}, path)
    fitted(quick(epochs=2), halves)
    assert "continuing after epoch 1" in capsys.readouterr().out
    assert "LeNet_best.ckpt" in visible(tmp_path / "save")
