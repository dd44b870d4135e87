"""The weights alone, as safetensors, for those who go on in torch."""

from pathlib import Path

from common.files import write_bytes
from export.onnx_file import require
from export.trained import Trained


def write(path: Path, trained: Trained, accuracy: dict | None) -> None:
    """Write the model's state_dict with its metadata (`Trained.metadata`) as safetensors.

    ResNet18's keys and shapes are those of torchvision's resnet18, but for the input channels of conv1.

    Args:
        path: of the file.
        trained: the model and what belongs to it.
        accuracy: of held-out images (`trained.Measured`), for the metadata.

    Raises:
        ExportError: safetensors is not installed.
        StorageError: the file cannot be written.
    """
    save = require("safetensors.torch").save
    tensors = {key: tensor.contiguous().clone() for key, tensor in trained.model.state_dict().items()}
    content = save(tensors, trained.metadata(accuracy))
    write_bytes(path, content)
