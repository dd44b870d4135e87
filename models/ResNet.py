"""ResNet-18 (11,689,512 parameters for 3 channels and 1000 classes) of He et al., "Deep residual learning for
image recognition", CVPR 2016. Its state_dict has the keys and shapes of torchvision's resnet18."""

import torch
from torch import nn


class ResBlock(nn.Module):
    """Add two 3×3 convolutions to their input: the basic block of the paper's figure 2.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the first convolution; 2 halves the height and the width.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:  # the shortcut must take the shape of the sum
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float (N, out_channels, H / stride, W / stride) of x, float (N, in_channels, H, W)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(nn.Module):
    """Classify images of any size from 32×32 up; the paper's are 224×224.

    Args:
        in_channels: channels of the input image, 1 (grey) or 3 (RGB).
        num_classes: number of classes.
        stem: what comes before the blocks: "paper", or "small" for small images, one 3×3 convolution of stride 1
            without max-pooling, as for CIFAR-10 in section 4.2 of the paper. It keeps 16 times as many pixels, which
            takes about six times as long at 32×32.

    Raises:
        ValueError: an unknown stem.
    """

    input_size = 224  # pixels per side, as in the paper
    layers = {
        "conv1": "64 feature maps, 7×7 convolutions of stride 2", "bn1": "batch normalization", "relu": "ReLU",
        "maxpool": "3×3 max-pooling of stride 2", "layer1": "2 blocks of 64 feature maps",
        "layer2": "2 blocks of 128, half the size", "layer3": "2 blocks of 256, half the size",
        "layer4": "2 blocks of 512, half the size", "avgpool": "global average pooling",
        "fc": "fully connected: logits of the classes",
    }  # fmt: skip

    def __init__(self, in_channels: int, num_classes: int, stem: str = "paper"):
        super().__init__()
        if stem not in ("paper", "small"):
            raise ValueError(f"stem must be paper or small, not {stem!r}")
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool2d(3, 2, padding=1)
        if stem == "small":
            self.conv1 = nn.Conv2d(in_channels, 64, 3, 1, padding=1, bias=False)
            self.maxpool = nn.Identity()
            self.layers = self.layers | {
                "conv1": "64 feature maps, 3×3 convolutions of stride 1", "maxpool": "nothing: the size is kept",
            }  # fmt: skip
        self.layer1 = nn.Sequential(ResBlock(64, 64), ResBlock(64, 64))
        self.layer2 = nn.Sequential(ResBlock(64, 128, 2), ResBlock(128, 128))
        self.layer3 = nn.Sequential(ResBlock(128, 256, 2), ResBlock(256, 256))
        self.layer4 = nn.Sequential(ResBlock(256, 512, 2), ResBlock(512, 512))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al., "Delving deep into rectifiers", ICCV 2015
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits float (N, num_classes) of images float (N, in_channels, H, W); shapes below are for 224."""
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 64, 112, 112)
        x = self.maxpool(x)  # (N, 64, 56, 56)
        x = self.layer1(x)  # (N, 64, 56, 56)
        x = self.layer2(x)  # (N, 128, 28, 28)
        x = self.layer3(x)  # (N, 256, 14, 14)
        x = self.layer4(x)  # (N, 512, 7, 7)
        return self.fc(self.avgpool(x).flatten(1))  # (N, num_classes)
