"""channels=3: images keep their colours from the reader to the export; without it, they are made grey."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import FakeData

import plots
from analysis import interpretation
from analysis.audit import audit, images_of
from apps.predictions import predict_files
from classifier import CNNClassifier
from common.errors import ExportError, InputError
from common.files import mapped_file
from config import Config
from dataset import CharDataset, load, load_parts, split
from imaging.pictures import as_images
from init import prepare, preprocess
from readers import open_source
from readers.drawn import DrawnSource

COLOURS = {"blue": (60, 60, 220), "green": (40, 115, 40), "red": (220, 40, 40)}
GREY = (0.299, 0.587, 0.114)  # the weights with which Pillow makes colours grey


def patches(n: int, size: int = 32, seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Return class → n images uint8 (size, size, 3) of a patch on white, whose colour alone tells the class."""
    rng, images = np.random.default_rng(seed), {}
    for name, colour in COLOURS.items():
        images[name] = np.full((n, size, size, 3), 255, np.uint8)
        for image in images[name]:
            top, left, height, width = *rng.integers(2, 10, 2), *rng.integers(8, 18, 2)
            grey = rng.uniform(40, 80)  # of whatever colour
            image[top : top + height, left : left + width] = np.multiply(colour, grey / np.dot(colour, GREY)).round()
    return {name: list(found) for name, found in images.items()}


@pytest.fixture
def folder(raw):
    return raw(patches(12), suffix=".png")


def small(images: dict[str, list[np.ndarray]]) -> CharDataset:
    y = np.repeat(np.arange(len(images)), [len(one) for one in images.values()])
    return CharDataset(np.concatenate(list(images.values())), y, classes=list(images), source="patches")


@pytest.fixture(scope="module")
def colour(train_quickly):
    return train_quickly(small(patches(16)), channels=3)


@pytest.mark.parametrize("channels, low, high", [(3, 0.95, 1.0), (1, 0.0, 0.55)])
def test_the_colour_alone_tells_the_class(raw, quick, tmp_path, channels, low, high):
    folder = raw(patches(60), suffix=".png")
    paths = {"raw_data_path": str(folder), "data_path": str(tmp_path / "data.npz")}
    config = quick(**paths, channels=channels, epochs=16, batch_size=16, learning_rate=0.005)
    train, val = split(load(prepare(config)), 0.3)
    classifier = CNNClassifier(config, train.classes)
    classifier.fit(train, val)
    assert low <= classifier.evaluate(val)["accuracy"] <= high
    loaded = CNNClassifier.load(classifier.checkpoint_)
    assert loaded.input_spec_.channels == channels
    np.testing.assert_array_equal(loaded.predict(val), classifier.predict(val))
    files = sorted(str(path) for path in (folder / "red").iterdir())[:4]
    probabilities = [result for _, result in predict_files(loaded, files)]
    np.testing.assert_allclose(probabilities, loaded.predict_proba(files), atol=1e-6)


def test_grey_is_the_default_and_the_hash_of_a_run_stays():
    assert "channels" not in Config().identity() and Config(channels=3).identity()["channels"] == 3
    assert Config(channels=3).hash_id != Config().hash_id
    with pytest.raises(InputError, match=r"^unknown channels 2: did you mean '[13]'\? It is one of 1, 3\.$"):
        Config(channels=2)


def test_a_folder_of_every_mode(tmp_path, raw):
    image = Image.fromarray(patches(1)["red"][0])
    ink = image.convert("RGBA")
    ink.putalpha(Image.fromarray((np.asarray(image.convert("L")) < 255).astype(np.uint8) * 255))
    grey = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    for folder, modes in {"a": [image, ink], "b": [image.convert("P"), image.convert("L"), grey]}.items():
        (tmp_path / "raw" / folder).mkdir(parents=True)
        for i, one in enumerate(modes):
            one.save(tmp_path / f"raw/{folder}/{i}.png")
    preprocess(open_source(tmp_path / "raw", channels=3), tmp_path / "data.npz", 32)
    opaque, transparent, palette, eight, sixteen = load(tmp_path / "data.npz").x
    expected = np.asarray(image)
    np.testing.assert_array_equal(opaque, expected)
    np.testing.assert_array_equal(transparent, expected)  # on white
    assert np.abs(palette.astype(int) - expected).max() < 64  # a web palette of few colours
    for found in (eight, sixteen):
        np.testing.assert_array_equal(found, np.stack([np.asarray(image.convert("L"))] * 3, 2))


def test_arrays_with_channels_first_and_last_and_dataset_objects(tmp_path):
    images = small(patches(4))
    for x in (images.x, np.moveaxis(images.x, 3, 1)):
        np.savez(tmp_path / "cifar.npz", x_train=x, y_train=images.y[:, None], x_test=x[:3], y_test=images.y[:3])
        summary = preprocess(open_source(tmp_path / "cifar.npz", channels=3), tmp_path / "data.npz", 32)
        train, _, test = load_parts(tmp_path / "data.npz").values()
        np.testing.assert_array_equal(train.x, images.x)
        np.testing.assert_array_equal(test.x, images.x[:3])
        assert summary["modes"] == {"RGB": 15} and summary["notes"] == []
    summary = preprocess(open_source(tmp_path / "cifar.npz"), tmp_path / "data.npz", 32)
    assert load(tmp_path / "data.npz").shape == (12, 32, 32)
    assert summary["notes"] == ["colour images are made grey (channels=3 keeps their colours)"]
    items = [(Image.fromarray(image), label) for image, label in zip(images.x, images.y, strict=True)]
    np.testing.assert_array_equal(CharDataset.from_dataset(items, channels=3).x, images.x)
    fitted = CharDataset.from_dataset([*items, (Image.new("L", (9, 5)), 0)], size=16, channels=3)
    assert fitted.shape == (13, 16, 16, 3) and CharDataset.from_dataset(items).shape == (12, 32, 32)
    fake = FakeData(6, (3, 32, 32), 2)
    expected = np.stack([np.asarray(image) for image, _ in fake])
    np.testing.assert_array_equal(CharDataset.from_dataset(fake, channels=3).x, expected)
    np.testing.assert_array_equal(
        CharDataset.from_dataset([{"image": image, "label": 0} for image in expected], channels=3).x, expected
    )


def test_cut_outs_of_several_sizes_are_cropped_to_their_ink(raw, tmp_path):
    rng = np.random.default_rng(0)
    images = {
        name: [np.pad(one, (*rng.integers(0, 9, (2, 2)), (0, 0)), constant_values=255) for one in some]
        for name, some in patches(6).items()
    }
    preprocess(open_source(raw(images, suffix=".png"), channels=3), tmp_path / "data.npz", 24)
    found = load(tmp_path / "data.npz")
    assert found.cropped and found.shape == (18, 24, 24, 3)
    inked = (found.x < 250).any(3)
    assert (np.maximum(inked.any(2).sum(1), inked.any(1).sum(1)) >= 19).all()  # of 24, a tenth of the ink around it


def test_a_large_set_in_colour_is_a_folder(folder, tmp_path):
    preprocess(open_source(folder, channels=3), tmp_path / "data.npz", 28)
    preprocess(open_source(folder, channels=3), tmp_path / "large.npz", 28, npz_limit=0)
    small, large = load(tmp_path / "data.npz"), load(tmp_path / "large.npz")
    assert mapped_file(large.array) == tmp_path / "large.arrays/x.npy" and small.fingerprint() == large.fingerprint()


def test_drawn_characters_are_grey_and_this_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("readers.drawn.PER_CLASS", 2)
    source = DrawnSource(28)
    source.channels = 3
    summary = preprocess(source, tmp_path / "data.npz")
    images = load(tmp_path / "data.npz")
    assert images.shape == (24, 28, 28, 3) and (images.x == images.x[..., :1]).all()
    assert summary["notes"] == ["the images are grey: their three channels are equal, and channels=1 is faster"]


def test_what_is_not_possible_in_colour_is_refused(folder, tmp_path, quick, colour):
    with pytest.raises(InputError, match="^characters are looked for in photos by their grey: leave out photos, or "):
        preprocess(open_source(folder, channels=3), tmp_path / "data.npz", photos=True)
    for images, config in ((small(patches(4)), quick()), (DrawnSource, quick(channels=3))):
        if images is DrawnSource:
            images = CharDataset(np.zeros((6, 28, 28), np.uint8), [0, 1, 2] * 2, classes=list(COLOURS))
        theirs, ours = images.channels, config.channels
        with pytest.raises(InputError) as caught:
            CNNClassifier(config, images.classes).fit(images)
        assert str(caught.value) == (
            f"the prepared images have channels={theirs} and the config channels={ours}: set channels={theirs}, or "
            "prepare them again, with the raw images or this data.npz as raw_data_path and another data_path"
        )
    colour.classifier.save(tmp_path / "colour.ckpt")
    start = quick(init_from=str(tmp_path / "colour.ckpt"))
    grey = CharDataset(colour.train.x[..., 0], colour.train.y, classes=list(COLOURS))
    with pytest.raises(InputError, match="has in_channels 3, this run 1: they must be the same$"):
        CNNClassifier(start, grey.classes).fit(grey)


@pytest.mark.parametrize("theirs, ours", [(3, 1), (1, 3)])
def test_prepared_images_of_other_channels_are_refused_before_they_are_used(
    folder, tmp_path, monkeypatch, theirs, ours
):
    monkeypatch.chdir(tmp_path)
    preprocess(open_source(folder, channels=theirs), "data.npz", 32)
    config = Config(data_path="data.npz", stored_size=32, raw_data_path="data/raw", channels=ours)
    monkeypatch.setattr("init.DEFAULT_RAW", "data/raw")
    with pytest.raises(
        InputError, match=f"have channels={theirs} and the config channels={ours}: set channels={theirs}"
    ):
        prepare(config)
    assert load(prepare(replace(config, channels=theirs))).channels == theirs
    remedy = replace(config, raw_data_path="data.npz", data_path="other.npz")
    assert load(prepare(remedy)).channels == ours, "as the message says"


def test_what_a_colour_model_is_given_gets_its_colours(colour):
    classifier, image = colour.classifier, colour.val.x[0]
    expected = classifier.predict_proba(image)
    assert classifier.model_input(image).shape == (1, 32, 32, 3)
    for given in (image[None], Image.fromarray(image), torch.from_numpy(np.moveaxis(image, 2, 0)[None])):
        np.testing.assert_array_equal(classifier.predict_proba(given), expected)
    grey = as_images(image, 1)
    as_grey = classifier.predict_proba(grey)
    np.testing.assert_array_equal(classifier.predict_proba(np.stack([grey[0]] * 3, 2)), as_grey)
    data = CharDataset(grey, colour.val.y[:1], classes=list(COLOURS))
    assert classifier.evaluate(data)["n"] == 1 and (classifier.predict_proba(data) == as_grey).all()
    larger = np.kron(grey[0], np.ones((3, 3), np.uint8))
    assert classifier.match_style(larger).shape == (32, 32, 3)  # as of the canvas, whose drawings are grey
    with pytest.raises(InputError, match="^images must be uint8, 0 to 255, not float64: convert values in "):
        classifier.match_style(larger / 255)


def test_augmentation_goes_on_beyond_the_border(colour):
    white = CharDataset(np.full((8, 32, 32, 3), 255, np.uint8), np.zeros(8, int), classes=list(COLOURS))
    assert colour.classifier.model_input(white, augment=True).min() > 0.99
    varied = colour.classifier.model_input(colour.val.subset([0] * 8), augment=True)
    assert len({one.tobytes() for one in varied}) == 8


def test_equal_greys_are_no_duplicates(tmp_path):
    images = small(patches(3))
    images.array[1:3], images.array[4] = images.array[0], images.array[0][..., [2, 1, 0]]
    issues = [issue for issue in audit(images) if issue.kind != "few images"]
    assert [(issue.kind, issue.indices) for issue in issues] == [("identical", [0, 1, 2])]
    assert audit(CharDataset(np.full((4, 8, 8, 3), (9, 99, 200), np.uint8), [0, 1] * 2))[-1].kind == "blank"


@pytest.mark.parametrize("changes", [{}, {"model": "ResNet18", "input_size": 32}, {"recipe": "report"}])
def test_the_exported_file_takes_colours(train_quickly, tmp_path, changes):
    onnx_file = pytest.importorskip("export.onnx_file")
    pytest.importorskip("onnxruntime")
    made = train_quickly(small(patches(8)), channels=3, **changes)
    made.classifier.export(tmp_path / "model.onnx", made.val)
    session = onnx_file.Session(tmp_path / "model.onnx")
    np.testing.assert_allclose(session(made.val.x), made.classifier.predict_proba(made.val), atol=1e-5)
    assert session.metadata["input_spec"]["source_shape"] == [32, 32, 3]
    card = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- RGB images of one character, 32×32 pixels, uint8" in card and "--channels 3" in card
    with pytest.raises(ExportError, match="^the page classifies drawings in grey, and this model sees colours"):
        from export.web_page import write

        write(tmp_path / "page", made.trained, None, b"", {}, None)


def test_figures(colour, drawable):
    val, best = colour.val, colour.classifier
    exemplars = plots.exemplars(val.x, val.y, 3)
    assert exemplars.shape == (3, 32, 32, 3) and all(image in val.x for image in exemplars)
    found = best.predict_labelled(val)
    answers = val.y, found.predicted, found.confidence
    nearest = interpretation.nearest_neighbors(best, val.x[:2], found.predicted[:2], colour.train)
    heat = interpretation.grad_cam(best, val.x[:2], found.predicted[:2])
    filters = interpretation.filters(best)
    assert filters.shape == (6, 5, 5, 3) and heat.shape == (2, 32, 32)
    twice = val.subset([0, 0, *range(1, len(val))])
    issues = audit(twice)
    seen, varied = best.model_input(val.x[:2]), best.model_input(val.x[:4], augment=True)
    (probabilities,) = best.predict_proba(val.x[0])
    for figure in (
        plots.samples(val.x, val.y, val.classes),
        plots.errors(val.x, *answers, exemplars, val.files, val.classes, np.arange(2), nearest),
        plots.confusion(val.y, found.predicted, exemplars, val.classes),
        plots.feature_maps(filters, interpretation.feature_maps(best, val.x[0])),
        plots.grad_cam(seen, heat, val.y[:2], found.predicted[:2], val.classes),
        plots.augmented(seen, varied.reshape(2, 2, 32, 32, 3)),
        plots.issues(images_of(issues, twice), issues),
        plots.prediction(val.x[0], seen[0], probabilities, exemplars, val.classes),
    ):
        drawable(figure)
    (axis,) = plots.augmented(seen[:1], seen[:1][None]).axes
    shown = np.asarray(axis.get_images()[0].get_array())
    assert shown.shape == (32, 32, 3) and shown[0, 0].min() > 0.99  # white stays white


def test_the_checkpoint_says_how_many_channels_there_are(colour, tmp_path):
    colour.classifier.save(tmp_path / "a.ckpt")
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert content["in_channels"] == 3 and content["input_spec"]["source_shape"] == [32, 32, 3]
    json.dumps(content["input_spec"])
    for change in ({"in_channels": 2}, {"input_spec": content["input_spec"] | {"source_shape": [32, 32, 1]}}):
        torch.save(content | change, tmp_path / "b.ckpt")
        with pytest.raises(InputError, match="makes no sense$"):
            CNNClassifier.load(tmp_path / "b.ckpt")
    torch.save(content | {"input_spec": content["input_spec"] | {"source_shape": [32, 32]}}, tmp_path / "b.ckpt")
    with pytest.raises(InputError, match="its model takes no images of 32×32 pixels"):
        CNNClassifier.load(tmp_path / "b.ckpt")
