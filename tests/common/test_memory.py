import psutil

from common.memory import available_memory


def test_memory_is_what_the_container_leaves(tmp_path):
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("5000\n")
    assert available_memory(tmp_path) == 4000
    (tmp_path / "memory.current").write_text("6000\n")
    assert available_memory(tmp_path) == 0
    (tmp_path / "memory.max").write_text("max\n")
    assert 0 < available_memory(tmp_path) <= psutil.virtual_memory().total
    assert 0 < available_memory(tmp_path / "none") <= psutil.virtual_memory().total
