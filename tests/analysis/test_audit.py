import json

import numpy as np

from analysis.audit import audit, in_lines, in_words, suspects
from dataset import CharDataset


def made(x, y, files):
    return CharDataset(np.stack(x), np.array(y), classes=["a", "b"], files=files)


def test_what_is_odd_is_found_the_worst_first(drawn):
    x = list(drawn.x[:40])
    touched = x[3].copy()
    touched[0, 0] = 0
    images = made([*x, x[1], x[2], touched, np.full((28, 28), 240, np.uint8)], [0] * 41 + [1] * 3,
                  [f"{i}.bmp" for i in range(44)])  # fmt: skip
    test = made([x[5], drawn.x[60]], [0, 1], ["t0", "t1"])
    found = audit(images, test)
    assert [(one["kind"], one["files"]) for one in found] == [
        ("identical in different classes", ["2.bmp", "41.bmp"]),
        ("nearly identical in different classes", ["3.bmp", "42.bmp"]),
        ("identical in train and test", ["5.bmp", "t0"]),
        ("identical", ["1.bmp", "40.bmp"]),
        ("blank", ["43.bmp"]),
        ("few images: 3, the median class has 22", []),
    ]
    assert found[2]["indices"] == [5, 44] and found[0]["classes"] == ["a", "b"]
    json.dumps(found)
    assert in_words(found).startswith("identical in different classes: 1 (2 images)\n  2.bmp = 41.bmp\n")
    assert in_words(audit(test)) == "nothing odd was found"


def test_images_are_compared_across_blocks(drawn):
    """Three thousand images, of which the last is the first but for a pixel."""
    x = np.random.default_rng(0).integers(0, 256, (3000, 16, 16), dtype=np.uint8)
    x[-1] = x[0]
    x[-1, 0, 0] ^= 255
    (one,) = audit(CharDataset(x, np.zeros(3000, np.int64)))
    assert (one["kind"], one["indices"]) == ("nearly identical", [0, 2999])


def test_suspects_are_ranked_by_margin(drawn):
    images = drawn.subset([0, 1, 2, 40, 41])
    images.x[3] = images.x[0]  # the same image in two classes
    probabilities = np.zeros((5, 12), np.float32)
    probabilities[:, 0] = [0.9, 0.45, 0.3, 0.9, 0.2]
    probabilities[:, 1] = [0.1, 0.55, 0.7, 0.1, 0.8]
    assert suspects(images, probabilities).tolist() == [3, 0, 2, 1]
    assert in_lines(images, probabilities, [2]) == ["'2': given '博', read as '学' with 70%"]


def test_the_labs_wrong_labels_are_among_the_first_30(real_images, tmp_path):
    """9/518 is 由 filed under 自, and one of 1/428 = 2/608 must be wrong: from two quick folds of every third image."""
    from analysis.validation import cross_validate
    from config import Config
    from dataset import load_npz
    from init import preprocess

    preprocess(real_images, tmp_path / "data.npz")
    images = load_npz(tmp_path / "data.npz")
    known = ["9/518.bmp", "1/428.bmp", "2/608.bmp"]
    third = np.union1d(np.arange(0, 7440, 3), np.flatnonzero(np.isin(images.files, known)))
    images = images.subset(third)
    result = cross_validate(Config(epochs=12, batch_size=64, learning_rate=0.004, device="cpu"), images, folds=2)
    assert set(known) <= set(images.files[suspects(images, result["probabilities"])[:30]])
