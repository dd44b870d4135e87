"""Models as users write them: what does not apply to one is left out and said."""

import numpy as np
import pytest
import torch
from torch import nn

import plots
from analysis import interpretation
from classifier import CNNClassifier
from config import Config
from models import MODELS, layer_summary


class Body(nn.Module):
    def __init__(self, in_channels: int, classes: int):
        super().__init__()
        relu = nn.ReLU()  # used twice
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, 4, 5), relu, nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), relu, nn.AdaptiveAvgPool2d(6),
            nn.Flatten(), nn.Linear(288, classes),
        )  # fmt: skip

    def forward(self, x):
        return self.body(x)


class MLP(nn.Module):
    def __init__(self, in_channels: int, classes: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(1024, 30), nn.Tanh(), nn.Linear(30, classes))

    def forward(self, x):
        return self.layers(x)


class OneLayer(nn.Module):
    def __init__(self, in_channels: int, classes: int):
        super().__init__()
        self.linear = nn.Linear(1024, classes)

    def forward(self, x):
        return self.linear(x.flatten(1))


class Recurrent(nn.Module):
    def __init__(self, in_channels: int, classes: int):
        super().__init__()
        self.lstm, self.head, self.unused = nn.LSTM(32, 20, batch_first=True), nn.Linear(20, classes), nn.Linear(2, 2)

    def forward(self, x):
        return self.head(self.lstm(x[:, 0])[0][:, -1])


class Parameters(nn.Module):
    """A model without any layer."""

    def __init__(self, in_channels: int, classes: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1024, classes))

    def forward(self, x):
        return x.flatten(1) @ self.weight


OWN = {model.__name__: model for model in (Body, MLP, OneLayer, Recurrent, Parameters)}


@pytest.fixture(params=OWN)
def classifier(request, monkeypatch, drawn):
    monkeypatch.setitem(MODELS, request.param, OWN[request.param])
    config = Config(model=request.param, epochs=1, device="cpu", record_path=None, save_path=None)
    own = CNNClassifier(config, drawn.classes)
    own.fit(drawn.subset(range(0, 480, 4)))
    return own


def test_every_figure_is_drawn_or_left_out_in_words(classifier, drawn, drawable, capsys):
    rows = layer_summary(classifier.model, 32)
    if classifier.config.model == "Parameters":
        assert rows == []
    else:
        assert rows[-1][1] == (12,) and sum(row[2] for row in rows) > 1000
    few = drawn.subset([0, 50, 100, 150])
    maps, filters = interpretation.feature_maps(classifier, few.x[0]), interpretation.filters(classifier)
    heat = interpretation.grad_cam(classifier, few.x, few.y)
    text = capsys.readouterr().out
    if classifier.config.model == "Body":
        assert list(maps)[:2] == ["body.0", "body.2"] and filters.shape == (4, 5, 5) and heat.shape == (4, 32, 32)
        drawable(plots.feature_maps(filters, maps))
    else:
        assert maps == {} and filters is None and heat is None
        assert "No feature maps: no layer of" in text and "No Grad-CAM: no layer of" in text
    vectors = interpretation.embeddings(classifier, few)
    assert vectors.shape[0] == 4 and np.isfinite(vectors).all()
    assert interpretation.nearest_neighbors(classifier, few.x[:2], few.y[:2], drawn).shape == (2, 28, 28)
