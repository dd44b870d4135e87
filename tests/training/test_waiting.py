import threading

import pytest
import torch

from training import waiting
from training.waiting import WaitingThreads

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch):
    """Let time and the wait for a core be what the returned dict says, in seconds, on two cores."""
    values = {"now": 0.0, "delay": 0.0}
    for name in waiting.OF_THE_USER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    monkeypatch.setattr("time.perf_counter", lambda: values["now"])
    monkeypatch.setattr(waiting, "_core_delay", lambda: values["delay"])
    return values


def holders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "hold_threads" in thread.name]


def test_threads_stop_spinning_once_they_wait_for_a_core(machine, capsys):
    with WaitingThreads(CPU) as threads:
        for now, delay, held in (
            (1.9, 1.0, 0),
            (2.1, 0.15, 0),
            (2.3, 0.8, 0),
            (4.2, 0.3, 0),
            (6.3, 0.6, 1),
            (9.0, 2.0, 1),
        ):
            machine.update(now=now, delay=delay)
            threads.check()
            assert len(holders()) == held, now
        (holder,) = holders()
    holder.join(10)
    assert not holders(), "they spin again"
    assert capsys.readouterr().out.count("Other processes use the cores") == 1


@pytest.mark.parametrize("name", waiting.OF_THE_USER)
def test_what_the_user_has_set_stays(machine, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    threads = WaitingThreads(CPU)
    machine.update(now=3.0, delay=3.0)
    threads.check()
    assert not holders()


def test_on_a_gpu_there_is_nothing_to_do(machine):
    threads = WaitingThreads(torch.device("cuda"))
    machine.update(now=3.0, delay=3.0)
    threads.check()
    assert not holders()


def test_the_wait_for_a_core_is_known():
    before = waiting._core_delay()
    assert 0 <= before <= waiting._core_delay()


def test_results_are_the_same(machine):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 300, 300, generator=generator)
    before = a @ b
    with WaitingThreads(CPU) as threads:
        machine.update(now=3.0, delay=3.0)
        threads.check()
        assert holders() and torch.equal(a @ b, before)
