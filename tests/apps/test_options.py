"""Every field of Config is an option, with its comment, range and default."""

import argparse
from dataclasses import fields

import pytest

from apps.options import COMPUTED, Parser, add_parameters, given, read_config
from common.errors import InputError
from config import Config


@pytest.fixture
def parser() -> Parser:
    parser = Parser("fit_char.py train")
    add_parameters(parser)
    return parser


def test_every_field_is_an_option_with_help(parser):
    options = {action.dest: action for action in parser._actions}
    for field in fields(Config):
        if field.name not in COMPUTED:
            option = options[field.name]
            assert option.default is argparse.SUPPRESS and "[" in option.help, field.name
            assert not option.help.startswith("["), f"{field.name} has no comment in config.py"
    text = " ".join(parser.format_help().split())
    assert "--batch-size N images per step [1 to 65,536; default 256, report 32, ResNet18 64]" in text
    assert "--schedule {constant,one_cycle} of the learning rate" in text and "--resume, --no-resume" in text
    assert "--labels-from PATTERN " in text and "--data-path PATH " in text and "--device NAME " in text
    assert "the optimizer: --optimizer" in text and "the largest change of an image." in text


def test_options_become_the_values_of_config(parser, tmp_path):
    words = "--epochs 3 --learning_rate=1e-2 --weight-decay 0 --record-path none --no-resume --image-size 40 --photos"
    options = parser.parse(words.split())
    assert given(options) == {
        "epochs": 3, "learning_rate": 0.01, "weight_decay": 0.0, "record_path": None, "resume": False,
        "input_size": 40, "photos": True,
    }  # fmt: skip
    assert read_config(options, mode="train") == Config(**given(options), mode="train")
    assert read_config(parser.parse([])) == Config()
    (tmp_path / "run.json").write_text('{"epoches": 4, "learning_rate": 0.5}')
    config = read_config(parser.parse(["--config", str(tmp_path / "run.json"), "--epochs", "5"]))
    assert (config.recipe, config.epochs, config.learning_rate) == ("report", 5, 0.5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--batchsize 3", "unknown option '--batchsize': did you mean '--batch-size'?"),
        ("stray", "unknown option 'stray': did you mean '"),
        ("--epochs", "argument --epochs: expected one argument (see fit_char.py train --help)"),
        ("--epochs 1.5", "epochs must be int, not '1.5' (str)"),
        ("--epochs 0", "epochs must be between 1 and 100000, not 0"),
        ("--optimizer none", "unknown optimizer 'none': did you mean"),
    ],
)
def test_what_is_wrong_is_named(parser, words, said):
    with pytest.raises(InputError) as caught:
        read_config(parser.parse(words.split()))
    assert str(caught.value).startswith(said)
