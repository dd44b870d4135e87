"""Training speed, images/s: ours beside the report's pipeline, a plain loop, Keras, Lightning, skorch and fastai.

    python -m benchmarks.speed                                       LeNet, an epoch of 6,696 drawn characters
    python -m benchmarks.speed --model ResNet18 --images 128         at 224, as in the report
    python -m benchmarks.speed --busy                                while another process uses one of the cores
    python -m benchmarks.speed --rounds 1 --images 256 --only ours report
    python -m benchmarks.speed --only ours "ours, compiled"          for which torch.compile needs a C++ compiler

Every pipeline has a process of its own and trains four epochs per round, of which the last counts; the rounds alternate
between the pipelines. The peers are used as their documentation tells a newcomer to; those that are not installed are
left out (pip install -r benchmarks/requirements.txt). The table goes to the terminal, the figures to a JSON file.
"""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec

from benchmarks.common import alternate, drawn, make_parser, medians, processes, write_figures
from benchmarks.pipelines import PIPELINES
from config import Config
from models import MODELS

USUAL = [name for name in PIPELINES if name != "ours, compiled"]  # which on a CPU takes minutes, and does not pay
PEERS = ("keras", "lightning", "skorch", "fastai")


def measure(name: str, options) -> float:
    """Return the seconds of an epoch."""
    warnings.filterwarnings("ignore", module="lightning|fastai|skorch|keras")  # advice to their users
    return PIPELINES[name](drawn(options.images), options)


def alternate_pipelines(options) -> dict[str, list[float]]:
    """Return the seconds of an epoch in each round, per pipeline that is installed and has the model."""
    names = [name for name in options.only if name.lower() not in PEERS or find_spec(name.lower())]
    if options.model == "ResNet18":  # Keras has none of its own
        names = [name for name in names if name != "Keras"]
    # A process each, so that no pipeline profits or suffers from what another has set.
    workers = {name: ProcessPoolExecutor(1, processes()) for name in names}
    calls = {name: lambda name=name: workers[name].submit(measure, name, options).result() for name in names}
    try:
        return alternate(options.rounds, calls, warm_up=0)
    finally:
        for worker in workers.values():
            worker.shutdown()


@contextmanager
def busy_core() -> Iterator[None]:
    """Let a process use one core, in a session of its own, as a browser beside the notebook does."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main():
    parser = make_parser(__doc__, "speed.json", "--device")
    parser.add_argument("--model", default="LeNet", choices=MODELS)
    parser.add_argument("--size", type=int, help="pixels per side that the model sees; by default the paper's")
    parser.add_argument("--images", type=int, default=6696, help="per epoch")
    parser.add_argument("--batch-size", type=int, help="by default that of our recipe, for every pipeline")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PIPELINES, default=USUAL)
    parser.add_argument("--busy", action="store_true", help="let another process use one core meanwhile")
    options = parser.parse_args()
    options.batch_size = options.batch_size or Config(options.model).batch_size
    options.size = options.size or MODELS[options.model].input_size
    with busy_core() if options.busy else nullcontext():
        seconds = alternate_pipelines(options)
    speed = {name: options.images / median for name, median in medians(seconds).items()}
    about = write_figures(options, options.device, seconds=seconds, images_per_second=speed)
    busy = ", another process on one core" if options.busy else ""
    print(f"\n{options.model} at {options.size}, batches of {options.batch_size}, {options.rounds} rounds{busy}")
    print(f"{about['device_name']}, {about['threads']} threads, torch {about['packages']['torch']}")
    for name, rate in speed.items():
        ratio = f"{rate / speed['report']:.2f} × the report's" if "report" in speed else ""
        print(f"{name:20}{rate:12,.0f} images/s   {ratio}")


if __name__ == "__main__":
    main()
