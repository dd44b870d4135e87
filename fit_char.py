#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK: argcomplete, if it is installed and activated, completes options
"""Train, evaluate and use classifiers of handwritten characters from a shell: what the notebook does, without it.

    python fit_char.py train --raw-data-path my_images.zip --epochs 20
    python fit_char.py evaluate save/LeNet_best.ckpt
    python fit_char.py predict save/LeNet_best.ckpt scans/ photo.jpg > predictions.csv
    python fit_char.py runs --sort accuracy
    python fit_char.py export save/LeNet_best.ckpt save/LeNet/model.onnx

Results go to standard output, everything else to standard error. The exit code is 0 if all went well, 2 after an error
and 130 after an interrupt; that of predict is the number of files that cannot be read, at most 100.
"""

import argparse
import errno
import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from apps.options import Parser, add_parameters, read_config
from common.errors import ExportError, InputError, LostProcessError, StorageError, TrainingError
from config import Config

# torch is imported by the commands that need it: it takes seconds, and processes that decode images do without
ERROR, INTERRUPTED, BROKEN_PIPE, MOST_UNREADABLE = 2, 130, 141, 100


def main(words: list[str] | None = None) -> int:
    """Run the command line, by default that of this process, and return the exit code."""
    out, main_process = sys.stdout, os.environ.get("RANK", "0") == "0"
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")
    try:
        parser = make_parser()
        if find_spec("argcomplete"):
            import_module("argcomplete").autocomplete(parser)
        options = parser.parse(sys.argv[1:] if words is None else words)
        with redirect_stdout(sys.stderr if main_process else open(os.devnull, "w")):  # log lines and progress bars
            code = options.run(options, out if main_process else sys.stdout)
        out.flush()
        return code
    except (InputError, StorageError, TrainingError, LostProcessError, ExportError) as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":  # the others of this machine say the same
            print(f"fit_char: {' '.join(str(error).split())}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # or Python would complain when it closes it
        if error.errno == errno.ENOSPC:
            print(f"fit_char: {error.strerror}: free some, and run it again", file=sys.stderr)
        return BROKEN_PIPE if error.errno == errno.EPIPE else ERROR  # the reader, such as head, has seen enough


def make_parser() -> Parser:
    parser = Parser("fit_char.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(run: Callable[[argparse.Namespace, TextIO], int], usage: str) -> Parser:
        text = (run.__doc__ or "").strip()
        name, first = run.__name__, text.partition("\n")[0]
        command = commands.add_parser(name, help=first, description=text, usage=f"%(prog)s {usage}")
        command.set_defaults(run=run, parser=command)
        return command

    command = add(train, "[options]")
    command.add_argument("--report", help=argparse.SUPPRESS)  # a file for the process that has started this one
    add_parameters(command)
    command = add(evaluate, "[CHECKPOINT] [options]")
    command.add_argument("checkpoint", nargs="?", metavar="CHECKPOINT", help="by default that at --save-path")
    command.add_argument("--json", action="store_true", help="print the result as JSON, with precision and recall")
    add_parameters(command)
    command = add(predict, "CHECKPOINT IMAGES… > predictions.csv")
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="a file that a run has saved")
    command.add_argument("images", nargs="+", metavar="IMAGES", help="files, folders, zips, patterns like 'a/**/*.png'")
    command.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda … [default auto]")
    command.add_argument("--processes", type=int, metavar="N", help="that decode [default: one per core]")
    command = add(runs, "[RUN RUN] [options]")
    command.add_argument("pair", nargs="*", metavar="RUN", help="two runs to compare, by name or folder")
    command.add_argument(
        "--sort", default="run", metavar="COLUMN", help="a heading, such as accuracy [default run, newest first]"
    )
    command.add_argument("--record-path", default=Config.record_path, metavar="PATH", help="[default %(default)s]")
    command = add(export, "CHECKPOINT FILE.onnx [options]")
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="a file that a run has saved")
    command.add_argument("path", metavar="FILE.onnx", help="best in a folder of its own")
    command.add_argument("--page", action="store_true", help="add a web page that classifies drawings")
    add_parameters(command)
    return parser


def train(options: argparse.Namespace, out: TextIO) -> int:
    """Train a model on the images, and evaluate it on those held out.

    The run is that of the notebook with the same parameters, to the bit. An interrupted one continues if the same
    command is given again.
    """
    config = read_config(options)
    if config.mode == "test":
        raise InputError("mode 'test' trains nothing: use fit_char.py evaluate")
    from apps.launch import end_with_launcher
    from init import pick_device, start_logging, suit_cpu
    from training import distributed

    start_logging()
    end_with_launcher(options.report is not None)
    if not options.report and os.environ.get("RANK", "0") == "0":  # the others get what it has chosen
        config = suit_cpu(config)
    with distributed.process_group(pick_device(config.device)):
        return _train(distributed.broadcast(lambda: config), options.report, out)


def _train(config: Config, report: str | None, out: TextIO) -> int:
    """Take the notebook's steps, and return the exit code."""
    import init
    from apps.launch import fit
    from apps.steps import load_data
    from classifier import CNNClassifier
    from training.distributed import is_main

    init.set_seed(config.random_seed)
    (images, test), (training, val, held_out, part) = load_data(config, prepared=report is not None)
    classifier = fit(config, training, val, report=report)
    epochs = config.epochs_for(len(training), len(training.classes))
    if report is None:
        complete_record(classifier, images, test, epochs)
    if len(classifier.history_) < epochs:
        return INTERRUPTED
    if not is_main():
        return 0
    print(f"checkpoint  {classifier.checkpoint_}", file=out)
    print(f"record      {classifier.record_.folder if classifier.record_ else None}", file=out)
    if config.mode != "train":
        from metrics import format_scores

        saved = classifier.checkpoint_
        best = CNNClassifier.load(saved, config.device) if saved else classifier
        result = best.evaluate(held_out)
        if classifier.record_:
            found = best.predict_labelled(held_out)
            classifier.record_.write_predictions(result, held_out, found.predicted, found.confidence, part)
        print(f"accuracy    {format_scores(result)}, {part} images", file=out)
    return 0


def complete_record(classifier, images, test, epochs: int) -> None:
    """Add to the record what the notebook adds: the issues of the data, which are printed, and the curves."""
    if classifier.record_ is None:
        return
    from analysis.audit import audit, format_issues
    from apps.live_curves import draw_curves

    issues = audit(images, test)
    print(format_issues(issues))
    classifier.record_.write("audit.json", [asdict(issue) for issue in issues])
    draw_curves(classifier.history_, classifier.record_.folder, epochs, classifier.config.augments)


def evaluate(options: argparse.Namespace, out: TextIO) -> int:
    """Measure the accuracy of a checkpoint on the test images, or else the validation images, of a data set.

    Parameters that are not given, such as the paths, the split and the sizes, are those of the checkpoint's own run.
    """
    import init
    from apps.steps import load_checkpoint
    from metrics import format_scores

    init.start_logging()
    best, (_, (training, val, held_out, part)) = load_checkpoint(options, for_training=False)
    if not (best.trained_on(training) or best.config.adds_drawn and best.validated_on(val)):
        print("The model was trained on other images: some of the held-out images may be among those.")
    result = best.evaluate(held_out, classes=options.json)
    text = json.dumps(result, ensure_ascii=False) if options.json else f"{format_scores(result)}, {part} images"
    print(text, file=out)
    return 0


def predict(options: argparse.Namespace, out: TextIO) -> int:
    """Classify image files, and write a CSV: file, predicted class, probability, and the four classes that come next.

    Photos are recognised. Files that cannot be read are named on standard error; the exit code is their number.
    """
    import init
    from apps.predictions import predict_files, write_csv
    from classifier import CNNClassifier

    if isinstance(out, io.TextIOWrapper):  # any name of a file or a class, whatever the terminal's encoding
        out.reconfigure(encoding="utf-8", errors="surrogateescape")
    if options.processes is not None and options.processes < 1:
        raise InputError(f"--processes must be 1 or more, not {options.processes}")
    init.start_logging()
    classifier = CNNClassifier.load(options.checkpoint, options.device)
    rows = predict_files(classifier, options.images, options.processes)
    return min(write_csv(rows, classifier.classes_, out), MOST_UNREADABLE)


def runs(options: argparse.Namespace, out: TextIO) -> int:
    """List the finished runs (* the best on its images), or compare two: parameters, and whether one is better."""
    import init
    from runs import comparison

    init.start_logging()
    if options.pair:
        if len(options.pair) != 2:
            raise InputError(f"give two runs to compare, or none to list all, not {len(options.pair)}")
        folders = [Path(run) if Path(run).is_dir() else Path(options.record_path) / run for run in options.pair]
        for folder in folders:
            if not (folder / "metrics.json").exists():
                raise InputError(f"{folder} is not the record of a finished run: fit_char.py runs lists them")
        print(comparison.compare(*folders), file=out)
        return 0
    found = comparison.read_runs(options.record_path, options.sort)
    print(comparison.format_runs(found), file=out)
    return 0


def export(options: argparse.Namespace, out: TextIO) -> int:
    """Write a checkpoint as an ONNX file that prepares images itself, its weights, and a model card.

    The file is compared with torch on the held-out images of the checkpoint's own run, or of the parameters given.
    """
    import init
    from apps.steps import load_checkpoint
    from export.targets import check_targets
    from export.web_page import find_runtime

    init.start_logging()
    check_targets(Path(options.path), options.page)
    if options.page:
        find_runtime()  # now, rather than when the data have been prepared
    best, (_, (training, _, held_out, _)) = load_checkpoint(options)
    written = best.export(options.path, held_out, training if best.trained_on(training) else None, options.page)
    for part, path in written.items():
        print(f"{part:12}{path}", file=out)
    return 0


if __name__ == "__main__":
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # it was closed
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115
    sys.exit(main())
