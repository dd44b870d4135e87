"""Files of torch.save are read as torch reads them, and nothing is built that was not inspected."""

import io
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import pytest
import torch
from torch import nn

from common.errors import InputError
from runs import unpickling


def saved(path, content):
    torch.save(content, path)
    return path


def test_tensors_and_plain_values_come_back_as_torch_reads_them(tmp_path):
    whole = torch.arange(24.0).view(2, 3, 4)
    content = {
        "a": whole, "view": whole[1, :, 1:3].T, "empty": torch.empty(0, 3), "scalar": torch.tensor(7),
        "parameter": whole.contiguous(memory_format=torch.contiguous_format), "none": None, "flag": True, "text": "学",
        "list": [1, -2, 3.5, 2**40], "tuple": (1, (2, 3, 4)), "ordered": OrderedDict(b=1, a=2),
    } | {
        str(dtype): torch.tensor([0, 1, 2]).to(dtype) for dtype in unpickling.DTYPES.values()
    }  # fmt: skip
    path = saved(tmp_path / "a.ckpt", content)
    ours, theirs = unpickling.load(path), torch.load(path, weights_only=True)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        if isinstance(value, torch.Tensor):
            assert ours[key].dtype == value.dtype and ours[key].stride() == value.stride()
            assert torch.equal(ours[key], value)
        else:
            assert ours[key] == value
    ours["a"] += 1  # tensors that shared a storage still do
    assert ours["view"][0, 0] == whole[1, 0, 1] + 1


def test_what_was_read_can_be_saved_again(tmp_path):
    """The attributes of a state_dict are not read."""
    state = nn.BatchNorm1d(3).state_dict()
    assert state._metadata
    read = unpickling.load(saved(tmp_path / "a.ckpt", {"model": state}))
    again = unpickling.load(saved(tmp_path / "b.ckpt", read))
    assert list(again["model"]) == list(state) and not hasattr(read["model"], "_metadata")
    nn.BatchNorm1d(3).load_state_dict(again["model"])


def test_without_tensors_the_rest_is_read_from_a_file_of_any_size(tmp_path):
    path = saved(tmp_path / "a.ckpt", {"epoch": 3, "state_dict": {"a": torch.zeros(5_000_000)}})
    tracemalloc.start()
    assert unpickling.load(path, tensors=False) == {"epoch": 3, "state_dict": {"a": None}}
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


class Bytes:
    """Pickled, 3 GB that a bytearray is asked for."""

    def __reduce__(self):
        return bytearray, (3_000_000_000,)


def old_style(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


HARMLESS = pickle.dumps({"format": 2}, protocol=2)


def refusal(path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        unpickling.load(path)
    return str(caught.value)


def test_a_pickle_and_a_zip_at_once_is_refused(tmp_path):
    data = old_style(Bytes()) + zipped({"archive/data.pkl": HARMLESS})
    assert zipfile.is_zipfile(io.BytesIO(data)), "which an inspector of zips lets through"
    assert refusal(tmp_path / "a.ckpt", data).endswith("it does not begin as a zip does")


def test_a_zip_with_two_directories_is_read_as_it_was_inspected(tmp_path):
    """Parsers that count from the beginning and from the end of such a file see different archives."""
    evil, good = zipped({"archive/data.pkl": pickle.dumps(Bytes(), 2)}), zipped({"archive/data.pkl": HARMLESS})
    (tmp_path / "a.ckpt").write_bytes(evil + good)
    assert unpickling.load(tmp_path / "a.ckpt") == {"format": 2}
    assert "__builtin__ bytearray" in refusal(tmp_path / "b.ckpt", good + evil)


@pytest.mark.parametrize("data, reason", [
    (pickle.dumps(Bytes(), 2), "__builtin__ bytearray"),
    (pickle.dumps({"a": bytearray(9)}, 5), "FRAME"),
    (pickle.dumps({"a": b"bytes"}, 4), "BINBYTES|FRAME|SHORT_BINBYTES"),
    (b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00lstR.", "os system"),
    (b"\x80\x02Nr" + struct.pack("<I", 2**31) + b".", "its memo has gaps"),
    (b"(lp0\nI1\na.", "LIST"),
])  # fmt: skip
def test_a_pickle_with_anything_else_is_refused(tmp_path, data, reason):
    with pytest.raises(InputError, match=reason):
        unpickling.load(_written(tmp_path / "a.ckpt", zipped({"archive/data.pkl": data})))


def _written(path, data: bytes):
    path.write_bytes(data)
    return path


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path):
    small = torch.zeros(1)
    path = saved(tmp_path / "a.ckpt", {"a": small.expand(10**12)})  # 4 TB in 4 bytes
    with pytest.raises(ValueError, match="a tensor of .1000000000000,. in 1 numbers"):
        unpickling.load(path)
    with pytest.raises(RuntimeError, match="out of bounds"):
        unpickling._rebuild_tensor(torch.zeros(4), 3, (2,), (1,))


def test_a_member_that_claims_to_be_larger_than_the_file_is_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    assert refusal(tmp_path / "a.ckpt", buffer.getvalue()).endswith("it claims to be larger than it is")
