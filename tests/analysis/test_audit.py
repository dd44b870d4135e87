"""The audit finds duplicates, blank images and small classes, and puts the worst first."""

import json
from dataclasses import asdict

import numpy as np

import plots
from analysis.audit import Issue, audit, format_issues, images_of
from dataset import CharDataset


def made(x, y, files) -> CharDataset:
    return CharDataset(np.stack(x), np.array(y), classes=["a", "b"], files=files)


def test_issues_are_found_the_worst_first(drawn):
    x = list(drawn.x[:40])
    changed = x[3].copy()
    changed[0, 0] = 0
    images = made([*x, x[1], x[2], changed, np.full((28, 28), 240, np.uint8)], [0] * 41 + [1] * 3,
                  [f"{i}.bmp" for i in range(44)])  # fmt: skip
    test = made([x[5], drawn.x[60]], [0, 1], ["t0", "t1"])
    issues = audit(images, test)
    assert [(issue.kind, issue.title, issue.files) for issue in issues] == [
        ("identical", "identical in different classes", ["2.bmp", "41.bmp"]),
        ("near-duplicate", "near-duplicate in different classes", ["3.bmp", "42.bmp"]),
        ("identical", "identical in train and test", ["5.bmp", "t0"]),
        ("identical", "identical", ["1.bmp", "40.bmp"]),
        ("blank", "blank", ["43.bmp"]),
        ("few images", "few images (3, the median class has 22)", []),
    ]
    assert [(issue.across_classes, issue.across_parts) for issue in issues] == [
        (True, False), (True, False), (False, True), (False, False), (False, False), (False, False),
    ]  # fmt: skip
    assert issues[2].indices == [5, 44] and issues[0].classes == ["a", "b"] and issues[-1].classes == ["b"]
    json.dumps([asdict(issue) for issue in issues])


def test_writers_in_train_and_test_are_an_issue(drawn):
    def of_writers(chosen, writers):
        return CharDataset(drawn.x[chosen], drawn.y[chosen], classes=drawn.classes, group=writers)

    train = of_writers([0, 40, 80], ["w2", "w1", ""])
    found = [one for one in audit(train, of_writers([1, 41, 81], ["w1", "w2", ""])) if one.kind == "writer"]
    assert [(one.title, one.classes) for one in found] == [("writer in train and test", [k]) for k in ("w1", "w2")]
    assert format_issues(found) == "writer in train and test: 2\n  w1\n  w2"
    assert not [one for one in audit(train) if one.kind == "writer"]


def test_issues_are_counted_and_listed_by_title():
    pairs = [Issue("identical", [k, k + 9], [f"{k}.bmp", f"{k + 9}.bmp"], ["a", "a"]) for k in range(6)]
    issues = [Issue("near-duplicate", [0, 1], ["0.bmp", "1.bmp"], ["a", "b"], True, True), *pairs]
    issues.append(Issue("few images", [], [], ["b"], note="3, the median class has 22"))
    assert format_issues(issues, most=2).splitlines() == [
        "near-duplicate in train and test in different classes: 1 (2 images)",
        "  0.bmp = 1.bmp",
        "identical: 6 (12 images)",
        "  0.bmp = 9.bmp",
        "  1.bmp = 10.bmp",
        "  and 4 others",
        "few images (3, the median class has 22)",
        "  b",
    ]
    assert len(format_issues(issues).splitlines()) == 2 + 1 + 5 + 1 + 2, "five of each by default"


def test_an_image_in_several_pairs_is_counted_once():
    pairs = [Issue("near-duplicate", [0, k], ["0", str(k)], ["a", "a"]) for k in (1, 2)]
    assert format_issues(pairs).splitlines()[0] == "near-duplicate: 2 (3 images)"


def test_nothing_is_found_in_good_images(drawn):
    test = made(drawn.x[[5, 60]], [0, 1], ["t0", "t1"])
    assert audit(test) == [] and format_issues([]) == "no issues found"
    assert audit(test, test.subset([])) == []


def test_images_are_compared_across_blocks():
    """Three thousand images, of which the last is the first except for a pixel."""
    x = np.random.default_rng(0).integers(0, 256, (3000, 16, 16), dtype=np.uint8)
    x[-1] = x[0]
    x[-1, 0, 0] ^= 255
    (issue,) = audit(CharDataset(x, np.zeros(3000, np.int64)))
    assert (issue.kind, issue.indices) == ("near-duplicate", [0, 2999])


def test_a_subset_of_a_read_only_memory_map_is_audited(drawn, tmp_path):
    np.save(tmp_path / "x.npy", drawn.x)
    stored = CharDataset(np.load(tmp_path / "x.npy", mmap_mode="r"), drawn.y, classes=drawn.classes)
    chosen = [470, 3, 3, 250]
    (issue, *_), expected = audit(stored.subset(chosen)), audit(drawn.subset(chosen))
    assert (issue.kind, issue.indices) == ("identical", [1, 2]) and audit(stored.subset(chosen)) == expected


def test_thin_strokes_that_all_look_alike_are_no_near_duplicates():
    rng = np.random.default_rng(0)
    x = np.full((80, 28, 28), 255, np.uint8)
    for image in x:
        column, top = rng.integers(12, 16), rng.integers(2, 6)
        image[top : top + rng.integers(16, 22), column : column + rng.integers(1, 3)] = rng.integers(0, 60)
    planted = np.clip(x[7] + rng.normal(0, 2, (28, 28)), 0, 255).astype(np.uint8)
    images = CharDataset(np.concatenate([x, planted[None]]), np.zeros(81, int), classes=["1", "2"])
    near = [issue.indices for issue in audit(images) if issue.kind == "near-duplicate"]
    assert [7, 80] in near and len(near) < 40, "of 3240 pairs"


def test_a_figure_needs_only_the_images_of_the_first_issues(drawn):
    images, test = drawn.subset([*range(60), *range(20), 0]), drawn.subset([5, 470, 0])
    issues = audit(images, test)
    few = images_of(issues, images, test)
    every = np.concatenate([images.x, test.x])
    assert 12 <= len(few) < 40 and all((image == every[i]).all() for i, image in few.items())
    drawn_indices = [i for issue in [one for one in issues if one.indices][:12] for i in issue.indices]
    assert set(few) == set(drawn_indices) and max(few) >= len(images)
    assert plots.issues(few, issues) is not None
