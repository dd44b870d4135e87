from pathlib import Path

import pytest

from common.errors import InputError
from readers.layout import Layout, natural_key
from readers.source import part_of


def layout(*images: str, others: tuple[str, ...] = ()) -> Layout:
    return Layout(Path("raw"), list(images), list(others))


def grid(*levels: str, n: int = 2) -> list[str]:
    """Return names of n images in every combination of folders: each level is folders separated by spaces."""
    names = [f"{i}.png" for i in range(n)]
    for level in reversed(levels):
        names = [f"{folder}/{name}" for folder in level.split() for name in names]
    return names


def found(layout: Layout) -> set[tuple[str, str, str]]:
    """Return which (part, writer, class) there are."""
    return {(place.part, place.writer, layout.classes[place.label]) for place in layout.places}


def error(*images: str, **options) -> str:
    with pytest.raises(InputError) as caught:
        layout(*images, **options)
    return str(caught.value)


def test_natural_order():
    assert sorted(["11", "1", "2", "10", "b2", "b10"], key=natural_key) == ["1", "2", "10", "11", "b2", "b10"]
    assert sorted(["a10", "a09", "²", "a8", "a", "9" * 5000], key=natural_key) == [
        "9" * 5000, "a", "a8", "a09", "a10", "²",
    ]  # fmt: skip


def test_the_order_of_names_with_equal_numbers_is_fixed():
    for names in (["1", "01", "001"], ["001", "01", "1"], ["01", "1", "001"]):
        assert sorted(names, key=natural_key) == ["001", "01", "1"]
    assert layout(*grid("1 01 2")).classes == layout(*grid("2 01 1")).classes == ["01", "1", "2"]


@pytest.mark.parametrize("val", ["val", "Valid", "VALIDATION", "dev"])
@pytest.mark.parametrize("above", ["", "all/", "my/set/"])
def test_parts_in_any_of_their_names(val, above):
    names = [above + name for name in grid("Training", "a b") + grid(val, "a b") + grid("testing", "a b")]
    plan = layout(*names)
    assert found(plan) == {(part, "", name) for part in ("train", "val", "test") for name in "ab"}
    assert plan.skipped == [] and plan.folders == [f"{above}Training/a", f"{above}Training/b"]
    assert {place.file for place in plan.places} == {*grid("a b"), *grid("val test", "a b")}


@pytest.mark.parametrize("names", [
    "train_images val-images test_imgs", "TrainSet ValidationSet TestSet", "images_train images_val images_test",
    "训练集 验证集 测试集", "训练 验证 测试", "train_data dev_data test_data",
])  # fmt: skip
def test_parts_with_a_word_beside_their_names_are_no_writers(names):
    plan = layout(*grid(names, "a b"))
    assert found(plan) == {(part, "", name) for part in ("train", "val", "test") for name in "ab"}
    assert not plan.notes and not plan.skipped


def test_a_class_whose_name_begins_like_a_part_is_none():
    assert layout(*grid("trains testudo valley device 训练师 测试员")).classes == [
        "device", "testudo", "trains", "valley", "测试员", "训练师",
    ]  # fmt: skip
    assert part_of("Test images") == "test" and part_of("dataset train") == "train" and part_of("train test") is None


def test_alphabets_are_no_writers():
    """Omniglot's folders: its character01 is another character in each alphabet."""
    alphabets = {"Greek": 24, "Latin": 26, "Tengwar": 25, "Korean": 40}
    names = [f"{name}/character{k:02}/{i}.png" for name, n in alphabets.items() for k in range(1, n + 1) for i in "ab"]
    assert "does not tell whether Greek/character01/ and Korean/character01/ are of one class: if so, name" in error(
        *names
    )
    written = {place.writer for place in layout(*[f"writer_{name}" for name in names]).places}
    assert written == {f"writer_{name}" for name in alphabets}
    same = [name for name in names if int(name[-8:-6]) <= 24]
    assert len(layout(*same).places) == len(same), "as writers of the same characters leave them"


def test_two_parts_and_one():
    assert {part for part, _, _ in found(layout(*grid("train valid", "a b")))} == {"train", "val"}
    assert {part for part, _, _ in found(layout(*grid("TRAIN Test", "a b")))} == {"train", "test"}
    alone = layout(*grid("train", "a b"))
    assert found(alone) == {("train", "", "a"), ("train", "", "b")} and alone.places[0].file == "a/0.png"
    test = layout(*grid("test", "a b"))
    assert found(test) == found(alone)
    assert test.notes == ["the images in test are used for training, as there are no others"]
    assert error(*grid("val test", "a b")) == "raw has test, val images, but no train/: add the training images"


def test_parts_below_the_classes():
    plan = layout(*grid("a b", "train test"))
    assert found(plan) == {(part, "", name) for part in ("train", "test") for name in "ab"}
    assert plan.folders == ["a", "b"] and plan.places[-1].file == "test/b/1.png"


def test_a_class_may_be_named_like_a_part():
    assert layout(*grid("test bus car")).classes == ["bus", "car", "test"]
    assert part_of("Dev ") == "val" and part_of("device") is None


def test_a_class_without_training_images_is_said_and_skipped():
    plan = layout(*grid("train", "a b"), *grid("val", "a c"), *grid("test", "c d", n=1))
    assert plan.classes == ["a", "b"] and {place.part for place in plan.places} == {"train", "val"}
    assert plan.notes == ["classes without a training folder are skipped: c, d"]
    reason = "its class has no training folder"
    assert plan.skipped == [(name, reason) for name in ("val/c/0.png", "val/c/1.png", "test/c/0.png", "test/d/0.png")]


def test_two_folders_of_one_part_may_not_hold_the_same_file():
    assert error(*grid("train Training", "a b", n=1)) == (
        "raw: train/a/0.png and Training/a/0.png are in the same part: rename one of the files"
    )
    both = layout(*grid("train", "a b"), "Training/a/other.png")
    assert len(both.places) == 5 and both.skipped == []


@pytest.mark.parametrize(
    "writers", ["w017 w018 w9", "alice bob carol", "1001-c 1002-c", "writer_a writer_b", "001 002"]
)
@pytest.mark.parametrize("classes", ["A B", "博 学 笃", "0 1 2 3"])
def test_writers_above_and_below_the_classes(writers, classes):
    expected = {("train", writer, name) for writer in writers.split() for name in classes.split()}
    for names, where in ((grid(writers, classes), "above"), (grid(classes, writers), "below")):
        plan = layout(*names)
        assert found(plan) == expected and plan.classes == classes.split()
        assert plan.notes[0].startswith(
            f"the folders {where} the classes are writers, as the classes recur with them: "
        )
        assert [place.file for place in plan.places] == names and plan.skipped == []


def test_writers_by_their_names_though_the_classes_have_longer_ones():
    assert layout(*grid("s01 s02", "letter_alpha letter_beta")).classes == ["letter_alpha", "letter_beta"]
    assert layout(*grid("letter_alpha letter_beta", "s01 s02")).classes == ["letter_alpha", "letter_beta"]


def test_writers_within_parts():
    above = layout(*grid("train", "w1 w2", "A B"), *grid("test", "w3", "A B"))
    assert found(above) == {("train", w, c) for w in ("w1", "w2") for c in "AB"} | {("test", "w3", c) for c in "AB"}
    below = layout(*grid("train", "A B", "w1 w2"), *grid("test", "A B", "w3"))
    assert found(below) == found(above)
    assert below.places[-1].file == "test/B/w3/1.png" and below.folders == ["train/A", "train/B"]


def test_not_every_writer_writes_every_class():
    names = [name for i, name in enumerate(grid("w1 w2 w3 w4 w5", "A B C D", n=1)) if i % 3]
    assert {writer for _, writer, _ in found(layout(*names))} == {"w1", "w2", "w3", "w4", "w5"}


def test_folders_that_are_no_writers_are_refused():
    names = grid("digits", "0 1 2") + grid("letters", "a b c")
    assert error(*names) == (
        "raw does not tell which folders are the classes, as in digits/0/ and digits/1/: put the images of each class "
        "into one sub-folder, named after the class"
    )
    assert "as in x/w1/A/ and x/w1/B/" in error(*grid("x y", "w1 w2", "A B"))


def test_folders_that_hold_all_images_tell_nothing():
    plan = layout(*grid("set", "train", "images", "a b"), *grid("set", "test", "images2", "a b"))
    assert found(plan) == {(part, "", name) for part in ("train", "test") for name in "ab"}
    assert layout(*grid("a b", "images")).places[0].file == "a/0.png"


@pytest.mark.parametrize(
    "stray",
    ["x.png", "set/x.png", "set/a/deep/x.png", "other/x.png", "other/a/x.png", "set/test/x.png", "1/2/3/4/x.png"],
)
def test_one_stray_image_does_not_decide(stray):
    plan = layout(*grid("set", "a b c", n=20), stray)
    if stray == "set/test/x.png":  # which is a class of one image
        assert plan.classes == ["a", "b", "c", "test"]
    else:
        assert plan.classes == ["a", "b", "c"] and len(plan.places) == 60
        assert [name for name, _ in plan.skipped] == [stray]


@pytest.mark.parametrize("stray", ["train/preview.png", "preview.png", "samples/x.png", "samples/a/x.png"])
def test_one_stray_image_beside_parts_does_not_decide(stray):
    plan = layout(*grid("train test", "a b", n=9), stray)
    assert plan.classes == ["a", "b"] and len(plan.places) == 36 and [name for name, _ in plan.skipped] == [stray]


def test_a_flat_test_folder_beside_the_training_classes_is_listed():
    flat = grid("test", n=50)
    plan = layout(*grid("train", "cat dog", n=10), *flat)
    assert found(plan) == {("train", "", "cat"), ("train", "", "dog")}
    assert plan.skipped == [(name, "in no class folder: move it into one") for name in flat]


def test_flat_folders_are_refused_with_the_remedy():
    remedy = "put the images of each class into one sub-folder, named after the class"
    flat = f"{remedy}, list them in a CSV of path and label, or set labels_from='{{label}}_*' if the files are named so"
    assert error("1.png", "2.png") == f"raw has images that are in no class folder, such as 1.png: {flat}"
    assert error(*grid("train test")) == f"raw has images that are in no class folder, such as train/0.png: {flat}"
    assert error(*grid("images")) == f"raw has images of one class only, in images/: {remedy}"


def test_an_empty_folder_is_a_class():
    assert layout(*grid("a b"), others=("a/", "b/", "c/")).classes == ["a", "b", "c"]
    assert layout(*grid("train test", "a b"), others=("train/", "train/c/", "test/d/")).classes == ["a", "b", "c"]
    assert layout(*grid("w1 w2", "A B"), others=("w1/", "w3/", "w1/C/", "w1/notes.txt")).classes == ["A", "B", "C"]
    assert layout(*grid("a b"), "more/x/1.png", others=("more/", "more/x/")).classes == ["a", "b"]


def test_names_that_are_equal_after_normalization_are_one_class():
    composed, decomposed = "é", "e\u0301"
    plan = layout(*grid(f"{composed} b"), f"{decomposed}/9.png")
    assert plan.classes == ["b", composed] and len(plan.places) == 5 and len({place.file for place in plan.places}) == 5
    assert plan.notes == [f"2 folders named {composed}, differently encoded in Unicode, are one class"]
    plan = layout(*grid("train", f"{composed} b"), *grid("test", f"{decomposed} b"))
    assert plan.classes == ["b", composed] and len(plan.places) == 8 and len(plan.notes) == 1
