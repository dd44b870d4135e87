"""The parameters of a run, and the recipes that set those which the user leaves open."""

import hashlib
import json
import math
import re
from dataclasses import Field, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from common.budget import budget
from common.errors import InputError, did_you_mean
from common.fields import check_value, setting
from common.files import check_file

# "report" is the lab report's recipe; a model without a recipe of its own takes "default".
RECIPES: dict[str, dict] = {
    "report": dict(
        batch_size=32, epochs=100, samples_seen=0, learning_rate=0.003, optimizer="adam", schedule="constant",
        weight_decay=0.0, label_smoothing=0.0, ema_decay=0.0, rotation=0.0, scale=0.0, shear=0.0, shift=0.0,
        elastic=0.0, pipeline="per_image", precision="float32", channels_last="off", fused="off",
    ),
    "default": dict(
        batch_size=256, epochs=None, samples_seen=1_004_400, learning_rate=0.012, optimizer="adamw",
        schedule="one_cycle", weight_decay=0.05, label_smoothing=0.1, ema_decay=0.99, rotation=0.0, scale=0.3,
        shear=0.37, shift=0.11, elastic=0.09, pipeline="resident", precision="auto", channels_last="auto", fused="auto",
    ),
}  # fmt: skip
RECIPES["ResNet18"] = RECIPES["default"] | dict(
    batch_size=64, samples_seen=133_920, learning_rate=0.002, weight_decay=0.01
)

# Names that parameters had in the report and in earlier versions → their present names.
ALIASES = {
    "epoches": "epochs", "images_shown": "samples_seen", "weight_average": "ema_decay", "raw_size": "stored_size",
    "image_size": "input_size",
}  # fmt: skip

# Fields that came after the first hash_ids: left out of a run's identity at their default, so that these stay the same.
ADDED = ("class_weights", "model_options", "characters", "drawn_per_class", "channels")

AUGMENTATION = ("rotation", "scale", "shear", "shift", "elastic")
DEFAULT_RAW = "./data/raw"
MAX_FILE = 2**24  # bytes of a JSON file


def _from_recipe(low: float | None = None, high: float | None = None, choices: tuple = ()) -> Any:
    """Return a field that the recipe sets if the user does not, so that it never is None afterwards."""
    return setting(None, low, high, choices)


@dataclass(frozen=True)
class Config:
    """The parameters of a run. A parameter that is left out or None takes the value of the recipe.

    Raises:
        InputError: an unknown name, with the nearest valid one; a value of the wrong type or out of range.
    """

    model: str = "LeNet"  # a name in models.MODELS
    model_options: dict | None = None  # of the model's own, such as {"hidden": 512} of LeNet's; None: the paper's
    mode: str = setting("train_and_test", choices=("train", "test", "train_and_test"))  # "test": of save_path
    recipe: str = setting("default", choices=("default", "report"))  # the model's own, or the lab report's
    batch_size: int = _from_recipe(1, 65536)  # images per step
    epochs: int | None = _from_recipe(1, 100_000)  # passes over the training images; None: see `epochs_for`
    samples_seen: int = _from_recipe(0, 10**12)  # images in all epochs together if `epochs` is None: see `epochs_for`
    learning_rate: float = _from_recipe(1e-9, 10.0)  # per step; the peak of a one-cycle schedule
    random_seed: int = setting(42, 0, 2**32 - 1)  # of the weights, the order and the augmentation
    # where things are: never part of a run's identity
    raw_data_path: str = DEFAULT_RAW  # a folder or .zip with one sub-folder per class, an .npz, IDX, .gnt, a CSV …
    characters: str | None = None  # drawn, beside a raw_data_path or instead: a text, a .txt file, digits, hiragana …
    drawn_per_class: int | None = setting(None, 1, 100_000)  # images per drawn character; None: 1500, or fewer if many
    hanzi_path: str | None = None  # hanzi-writer-data, a .tgz or a folder; None: what FIT_CHAR_HANZI names
    data_path: str = "./data/data.npz"  # the prepared images; data.arrays beside it if too large for an npz
    record_path: str | None = "./record"  # the folder of all records; None: no record
    save_path: str | None = "./save/{model}_best.ckpt"  # the best checkpoint; None: not saved
    init_from: str | None = None  # a checkpoint whose weights the run starts from; None: from scratch
    resume: bool = True  # continue an interrupted run of the same parameters and images
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps …
    devices: int = setting(1, 1, 1024)  # processes on this machine that train together, one per GPU
    # the data
    stored_size: int = setting(28, 16, 1024)  # pixels per side of the images in data.npz
    channels: int = setting(1, choices=(1, 3))  # 1: images are made grey; 3: those in colour stay so
    input_size: int | None = setting(None, 16, 1024)  # pixels per side the model sees; None: suits model and device
    npz_limit: float | None = setting(None, 0.0, 1e9)  # MiB of images in data.npz; None: by the memory, 1024 at most
    photos: bool | None = None  # whether characters are looked for in photos of them; None: if these seem to be photos
    labels_from: str | None = None  # "{label}_*": a pattern of the image files' names, if they name the classes
    val_fraction: float = setting(0.1, 0.001, 0.9)  # fraction of the images held out for validation
    split_seed: int = setting(42, 0, 2**32 - 1)  # separate, so that runs of other seeds have the same validation set
    pipeline: str = _from_recipe(choices=("resident", "per_image"))  # data on the device, or PIL image by image
    # the optimizer
    optimizer: str = _from_recipe(choices=("adam", "adamw"))  # adamw decays the weights apart from the gradient
    schedule: str = _from_recipe(choices=("constant", "one_cycle"))  # of the learning rate, over all steps
    warmup: float = setting(0.2, 0.0, 0.9)  # fraction of the steps that rise to the peak of a one-cycle schedule
    weight_decay: float = _from_recipe(0.0, 1.0)  # per step, times the learning rate (adamw)
    label_smoothing: float = _from_recipe(0.0, 0.9)  # probability spread over all classes
    class_weights: str = setting("off", choices=("off", "balanced"))  # of the loss; balanced: inverse to frequency
    ema_decay: float = _from_recipe(0.0, 0.99999)  # per step, of the averaged weights; 0: no average
    precision: str = _from_recipe(choices=("auto", "float32", "bfloat16"))  # of the training step
    # how the device computes: "auto" is what was measured to be fastest on this kind of device
    channels_last: str = _from_recipe(choices=("auto", "on", "off"))  # the memory format
    fused: str = _from_recipe(choices=("auto", "on", "off"))  # the model's own faster training step, if it has one
    compile: str = setting("auto", choices=("auto", "on", "off"))  # torch.compile
    deterministic: str = setting("off", choices=("on", "off"))  # on CUDA, at some cost; on a CPU all runs are
    # the augmentation: the largest change of an image. Every image draws its own changes at every step, and a strength
    # between 0 and 1 that scales all of them.
    rotation: float = _from_recipe(0.0, 180.0)  # degrees to either side
    scale: float = _from_recipe(0.0, 0.9)  # fraction, per axis
    shear: float = _from_recipe(0.0, 1.0)  # horizontal shift per unit of height
    shift: float = _from_recipe(0.0, 0.5)  # fraction of the side
    elastic: float = _from_recipe(0.0, 1.0)  # standard deviation of a 5×5 grid, as a fraction of half the side
    hash_id: str | None = None  # 8 hex digits over `identity`; the report's runs keep theirs

    def __new__(cls, *values, **named):
        valid = [one.name for one in fields(cls)]
        for name in named:
            if name not in valid:
                raise InputError(f"unknown parameter {name!r:.100}: {did_you_mean(name, valid)}")
        return super().__new__(cls)

    def __post_init__(self):
        recipe = RECIPES["report"] if self.recipe == "report" else RECIPES.get(str(self.model), RECIPES["default"])
        if self.pipeline == "per_image":
            recipe = recipe | dict.fromkeys(AUGMENTATION, 0.0)
        for one in fields(self):
            value = getattr(self, one.name)
            value = _normalized(one, recipe.get(one.name) if value is None else value, self.model)
            check_value(one, value)
            object.__setattr__(self, one.name, value)
        if self.pipeline == "per_image" and self.augments:
            raise InputError(
                f"the pipeline per_image does not augment: set {', '.join(AUGMENTATION)} to 0, or resident"
            )
        if self.hash_id is None or self.recipe != "report":
            text = json.dumps(self.identity(), sort_keys=True)
            object.__setattr__(self, "hash_id", hashlib.sha256(text.encode()).hexdigest()[:8])
        elif not re.fullmatch("[0-9a-f]{8}", self.hash_id):
            raise InputError(f"hash_id must be 8 hex digits, not {self.hash_id!r}: leave it out and it is computed")

    def identity(self) -> dict:
        """Return the parameters that determine the result: no path, mode or device."""
        other = {"mode", "device", "devices", "init_from", "hash_id", "resume", "photos", "labels_from", "npz_limit"}
        other |= {one.name for one in fields(self) if one.name in ADDED and getattr(self, one.name) == one.default}
        return {k: v for k, v in asdict(self).items() if k not in other and not k.endswith("_path")}

    @property
    def augments(self) -> bool:
        """Whether any augmentation is on."""
        return any(getattr(self, part) for part in AUGMENTATION)

    @property
    def adds_drawn(self) -> bool:
        """Whether `characters` are drawn in addition to images that the user has named, rather than in their place."""
        return self.characters is not None and self.raw_data_path != DEFAULT_RAW

    def epochs_for(self, images: int, classes: int) -> int:
        """Return the number of epochs of a run on that many training images of that many classes.

        What a model learns depends on its steps, so that a small set gets more epochs. A set smaller than one batch
        takes one step per epoch. A large set gets 20 epochs, or fewer if `samples_seen` is less than the recipe's. The
        recipe's budget grows with the classes (`common.budget`); one of the user's own is kept.
        """
        usual = RECIPES.get(self.model, RECIPES["default"])["samples_seen"]
        fewest = math.ceil(20 * min(1, self.samples_seen / usual))
        samples = budget(usual, classes) if self.samples_seen == usual else self.samples_seen
        return self.epochs or max(1, fewest, math.ceil(samples / max(images, self.batch_size)))

    @classmethod
    def from_dict(cls, values: dict) -> "Config":
        """Return the Config of a plain dict, with present or earlier names, or the report's (which has no recipe).

        Raises:
            InputError: an unknown key, with the nearest valid name; a key given twice; a wrong type or value.
        """
        return cls(**_renamed(values))

    @classmethod
    def load(cls, path: str | Path, **changes) -> "Config":
        """Read a JSON file, our own or the report's parameters, some of them changed.

        The hash_id of the file goes if what it stands for is changed. Raises InputError, which names file and key.
        """
        check_file(path, MAX_FILE)
        try:
            values = _renamed(json.loads(Path(path).read_text(encoding="utf-8")))
            config = cls(**values)
            changed = cls(**values | changes)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist: the runs of the report are in configs/") from None
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except (ValueError, RecursionError) as error:  # also numbers with more digits than Python reads
            raise InputError(f"{path} is not a JSON file: {error}") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        return changed if changed.identity() == config.identity() else replace(changed, hash_id=None)


def _renamed(values: dict) -> dict:
    """Return parameters under their present names; see `Config.from_dict`."""
    if not isinstance(values, dict):
        raise InputError(f"a config is a JSON object of parameters, not {type(values).__name__}")
    renamed: dict = {"recipe": "report"} if "epoches" in values else {}
    for key, value in values.items():
        name = ALIASES.get(key, key)
        if name != key and name in values:
            raise InputError(f"{key!r} is the former name of {name!r}: give only {name!r}")
        renamed[name] = value
    return renamed


def _normalized(one: Field, value: Any, model: str) -> Any:
    """Return a value as a plain float or a path with forward slashes, if its field is one."""
    if isinstance(value, float):
        return float(value)  # also NumPy's, which a checkpoint could not hold
    if one.type is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if one.name == "model_options" and value is not None:
        return _changed_options(value, model)
    if one.name.endswith(("_path", "_from")) and isinstance(value, str | Path):  # written on Windows or not
        return str(value).replace("\\", "/").replace("{model}", str(model))
    return value


def _changed_options(options: Any, model: str) -> Any:
    """Return a model's options that differ from its defaults, also of JSON as a shell gives it; None without any."""
    from models import MODELS, changed_options  # imported here because it takes a second

    if isinstance(options, str):
        try:
            options = json.loads(options)
        except ValueError as error:
            raise InputError(f'model_options is not a JSON object, such as {{"hidden": 512}}: {error}') from None
    if not isinstance(options, dict) or model not in MODELS:  # see `check_value`, and CNNClassifier
        return options
    try:
        return changed_options(model, options) or None
    except ValueError as error:
        raise InputError(f"model_options: {error}") from None
