"""A run's parameters: the report's, what the training recipe needs, and the two recipes that set them."""

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType

from common.errors import InputError, did_you_mean

# What a recipe sets where the user sets nothing. "report" is the lab report's; a model without an entry of its own
# takes "default".
RECIPES = {
    "report": dict(
        batch_size=32, epochs=100, images_shown=0, learning_rate=0.003, optimizer="adam", schedule="constant",
        weight_decay=0.0, label_smoothing=0.0, weight_average=0.0, rotation=0.0, scale=0.0, shear=0.0, shift=0.0,
        elastic=0.0, pipeline="per_image", precision="float32", channels_last="off", fused="off",
    ),
    "default": dict(
        batch_size=256, epochs=None, images_shown=1_004_400, learning_rate=0.012, optimizer="adamw",
        schedule="one_cycle", weight_decay=0.05, label_smoothing=0.1, weight_average=0.99, rotation=0.0, scale=0.3,
        shear=0.37, shift=0.11, elastic=0.09, pipeline="resident", precision="auto", channels_last="auto", fused="auto",
    ),
}  # fmt: skip
RECIPES["ResNet18"] = RECIPES["default"] | dict(
    batch_size=64, images_shown=133_920, learning_rate=0.002, weight_decay=0.01
)

AUGMENTATION = ("rotation", "scale", "shear", "shift", "elastic")
DEFAULT_RAW = "./data/raw"


def _setting(default, low=None, high=None, choices=()):
    return field(default=default, metadata={"low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Config:
    """A run's parameters. A parameter that is None takes the value of the recipe.

    Raises:
        InputError: a value of the wrong type or out of range, an unknown choice.
    """

    model: str = "LeNet"  # a name in models.MODELS
    mode: str = _setting("train_and_test", choices=("train", "test", "train_and_test"))
    recipe: str = _setting("default", choices=("default", "report"))
    batch_size: int | None = _setting(None, 1, 65536)  # images
    epochs: int | None = _setting(None, 1, 100_000)  # passes over the training images; None: see `epochs_for`
    images_shown: int | None = _setting(None, 0, 10**12)  # in all epochs together, where `epochs` is None
    learning_rate: float | None = _setting(None, 1e-9, 10.0)  # a step; the peak of a one-cycle schedule
    random_seed: int = _setting(42, 0, 2**32 - 1)  # of the weights, the order and the augmentation
    # where things are: never part of what a run is
    raw_data_path: str = DEFAULT_RAW  # a folder with a sub-folder a class, or a .zip of one
    data_path: str = "./data/data.npz"
    record_path: str | None = "./record"  # the folder of all records; None: no record
    save_path: str | None = "./save/{model}_best.ckpt"  # the best checkpoint; None: not saved
    init_from: str | None = None  # the checkpoint whose weights the run starts from; None: from scratch
    resume: bool = True  # go on with a run of the same parameters and images that was stopped
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps …
    # the data
    raw_size: int = _setting(28, 16, 1024)  # pixels a side of the images in data.npz
    image_size: int | None = _setting(None, 16, 1024)  # pixels a side the model sees; None: suits model and device
    val_fraction: float = _setting(0.1, 0.001, 0.9)  # of the images, held out to choose the best epoch
    split_seed: int = _setting(42, 0, 2**32 - 1)  # its own, so that runs of other seeds are judged on the same images
    pipeline: str | None = _setting(None, choices=("resident", "per_image"))  # data on the device, or PIL one by one
    # the optimizer
    optimizer: str | None = _setting(None, choices=("adam", "adamw"))
    schedule: str | None = _setting(None, choices=("constant", "one_cycle"))  # of the learning rate, over all steps
    warmup: float = _setting(0.2, 0.0, 0.9)  # of the steps, rising to the peak of a one-cycle schedule
    weight_decay: float | None = _setting(None, 0.0, 1.0)  # a step, times the learning rate (adamw)
    label_smoothing: float | None = _setting(None, 0.0, 0.9)  # probability spread over all classes
    weight_average: float | None = _setting(None, 0.0, 0.99999)  # decay a step of the averaged weights; 0: none
    precision: str | None = _setting(None, choices=("auto", "float32", "bfloat16"))  # of the training step
    # how the device computes: what was measured to be fastest on its kind, or what the user forces or forbids
    channels_last: str | None = _setting(None, choices=("auto", "on", "off"))  # order of the axes in memory
    fused: str | None = _setting(None, choices=("auto", "on", "off"))  # the model's own shorter way, where it has one
    compile: str = _setting("auto", choices=("auto", "on", "off"))  # torch.compile
    deterministic: str = _setting("off", choices=("on", "off"))  # on CUDA, at some cost; on a CPU all runs are
    # the augmentation: largest change of an image, drawn anew for every image and step, and all of an image's changes
    # times a strength of its own, between 0 and 1
    rotation: float | None = _setting(None, 0.0, 180.0)  # degrees to either side
    scale: float | None = _setting(None, 0.0, 0.9)  # fraction, in each axis
    shear: float | None = _setting(None, 0.0, 1.0)  # horizontal shift a unit of height
    shift: float | None = _setting(None, 0.0, 0.5)  # fraction of the side
    elastic: float | None = _setting(None, 0.0, 1.0)  # standard deviation of a 5×5 grid, fraction of the half side
    hash_id: str | None = None  # 8 hex digits over what determines the result; the report's runs keep theirs

    def __post_init__(self):
        recipe = RECIPES["report"] if self.recipe == "report" else RECIPES.get(str(self.model), RECIPES["default"])
        if self.pipeline == "per_image":
            recipe = recipe | dict.fromkeys(AUGMENTATION, 0.0)
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None:
                value = recipe.get(f.name)
            elif isinstance(value, float):
                value = float(value)  # also NumPy's, which a checkpoint could not hold
            elif f.type in (float, float | None) and type(value) is int and abs(value) < 2**53:
                value = float(value)
            if f.name.endswith(("_path", "_from")) and isinstance(value, str | Path):  # written on Windows or not
                value = str(value).replace("\\", "/").replace("{model}", str(self.model))
            _check_value(f, value)
            object.__setattr__(self, f.name, value)
        if self.pipeline == "per_image" and self.augments:
            raise InputError(
                f"the pipeline per_image does not augment: set {', '.join(AUGMENTATION)} to 0, or resident"
            )
        if self.hash_id is None or self.recipe != "report":
            text = json.dumps(self.determining(), sort_keys=True)
            object.__setattr__(self, "hash_id", hashlib.sha256(text.encode()).hexdigest()[:8])
        elif not re.fullmatch("[0-9a-f]{8}", self.hash_id):
            raise InputError(f"hash_id must be 8 hex digits, not {self.hash_id!r}: leave it out and it is computed")

    def determining(self) -> dict:
        """Return what determines the result: no path, mode or device."""
        other = {"mode", "device", "init_from", "hash_id", "resume"}
        return {k: v for k, v in asdict(self).items() if k not in other and not k.endswith("_path")}

    @property
    def augments(self) -> bool:
        """Whether any augmentation is on."""
        return any(getattr(self, part) for part in AUGMENTATION)

    def epochs_for(self, images: int) -> int:
        """Return how many epochs a run on that many training images takes.

        A small data set is gone through more often: what a model learns depends on the steps that it takes. One of less
        than a batch takes a step an epoch.
        """
        return self.epochs or max(20, math.ceil(self.images_shown / max(images, self.batch_size)))

    @classmethod
    def from_dict(cls, values: dict) -> "Config":
        """Return the Config of a plain dict, ours or the report's (which spells `epoches` and has no recipe).

        Raises:
            InputError: an unknown key, with the nearest valid one; a wrong type; a value out of range.
        """
        if not isinstance(values, dict):
            raise InputError(f"a config is a JSON object of parameters, not {type(values).__name__}")
        if "epoches" in values:
            values = {"recipe": "report"} | {"epochs" if k == "epoches" else k: v for k, v in values.items()}
        valid = [f.name for f in fields(cls)]
        for key in values:
            if key not in valid:
                raise InputError(f"unknown key {key!r:.100}: {did_you_mean(key, valid)}")
        return cls(**values)

    @classmethod
    def load(cls, path: str | Path) -> "Config":
        """Read a JSON file: our own, or the report's parameters. Raises InputError, which names file and key."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise InputError(f"{path} does not exist: the runs of the report are in configs/") from None
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except (ValueError, RecursionError) as error:  # also numbers of more digits than Python reads
            raise InputError(f"{path} is not a JSON file: {error}") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _check_value(f, value) -> None:
    name, limits = f.name, f.metadata
    if not isinstance(value, f.type) or isinstance(value, bool) != (f.type is bool):
        kinds = [t.__name__ for t in getattr(f.type, "__args__", (f.type,)) if t is not NoneType]
        raise InputError(f"{name} must be {' or '.join(kinds)}, not {value!r:.100} ({type(value).__name__})")
    if value is None:
        return
    if limits.get("choices") and value not in limits["choices"]:
        choices = limits["choices"]
        near = did_you_mean(value, choices)
        raise InputError(f"unknown {name} {value!r:.100}: {near} It is one of {', '.join(choices)}.")
    if limits.get("low") is not None and not limits["low"] <= value <= limits["high"]:
        raise InputError(f"{name} must be between {limits['low']} and {limits['high']}, not {value!r:.100}")
    if isinstance(value, str) and "\0" in value:
        raise InputError(f"{name} must not contain the character NUL")
