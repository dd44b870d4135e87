"""What the record of a run says of its training."""

from dataclasses import asdict

from config import Config
from training import distributed, pace
from training.backend import Backend
from training.class_weights import describe_balance


def describe_run(config: Config, backend: Backend, input_size: int, epochs: int, train, val=None) -> dict:
    """Return plain values that environment.json holds besides what `runs.record.environment` says.

    Args:
        input_size: pixels per side that the model sees.
        epochs: of the whole run.
        train, val: the CharDatasets to train and to validate on; val may be None.
    """
    about = {"input_size": input_size, "source": train.source, "corrections": train.corrections, "epochs": epochs}
    about |= {"train_images": len(train), "val_images": len(val) if val else 0} | asdict(backend)
    about["writers"] = len(set(train.group.tolist()) - {""}) or "unknown: mixed writers"
    about |= describe_balance(train.y, train.classes, config.class_weights == "balanced")
    about |= {"measured_images_per_second": pace.measured} if pace.measured else {}
    return about | {"processes": distributed.processes()}
