"""The sizes of parquet pages are those that are unpacked, whatever the list at the end of the file says."""

import numpy as np
import pytest

from common.errors import InputError
from readers import open_source
from readers.columns import open_parquet
from readers.pages import MAX_LIST, page_sizes

pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")


def varint(number: int) -> bytes:
    """Return a positive number as Thrift's compact protocol has it."""
    number, digits = 2 * number, []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("checked", [True, False])
def test_pages_are_as_large_as_the_list_of_an_honest_file_says(tmp_path, version, compression, checked):
    rng, path = np.random.default_rng(0), tmp_path / "a.parquet"
    pairs = [{"bytes": rng.bytes(int(n)) if n % 7 else None, "path": str(n)} for n in rng.integers(1, 300, 500)]
    columns = {"image": pairs, "y": range(500), "f": rng.random(500), "b": [True, False] * 250, "lists": [[1, 2]] * 500}
    options = {"data_page_version": version, "write_page_checksum": checked, "write_statistics": checked}
    table = pyarrow.table(columns | {"none": pyarrow.nulls(500)})
    parquet.write_table(table, path, row_group_size=177, data_page_size=999, compression=compression, **options)
    file = open_parquet(path)
    groups = [file.metadata.row_group(k) for k in range(file.metadata.num_row_groups)]
    for name in table.column_names:
        columns = [group.column(k) for group in groups for k in range(group.num_columns)]
        columns = [column for column in columns if column.path_in_schema.split(".")[0] == name]
        sizes, listed = page_sizes(path, name), sum(column.total_uncompressed_size for column in columns)
        assert len(sizes) >= 3 and sum(sizes) < listed <= sum(sizes) + 700 * len(sizes)  # with headers


@pytest.mark.parametrize("column, names, why", [
    ("image", {}, "it has a page of more than 64 MiB in image: save it in smaller pages"),
    ("label", {"image": [b"png"]}, "it has more than 64 MiB in label"),
])  # fmt: skip
def test_a_page_that_unpacks_to_more_than_the_list_says_is_refused(tmp_path, column, names, why):
    path, size = tmp_path / "a.parquet", 2**26 + 999
    values = {"image": bytes(size), "label": "a" * size}[column]
    table = pyarrow.table({"label": ["1"]} | names | {column: [values]})
    parquet.write_table(table, path, compression="zstd", store_schema=False, write_statistics=False)
    number = table.column_names.index(column)
    true = varint(open_parquet(path).metadata.row_group(0).column(number).total_uncompressed_size)
    at = path.read_bytes().rindex(true)
    data = bytearray(path.read_bytes())
    data[at : at + len(true)] = b"\x90" + b"\x80" * (len(true) - 2) + b"\x00"  # 8, in as many bytes
    path.write_bytes(data)
    assert open_parquet(path).metadata.row_group(0).column(number).total_uncompressed_size == 8
    with pytest.raises(InputError, match=why):
        open_source(path)


@pytest.mark.parametrize(
    "header", [b"", b"\x15\x00\x15\x01", b"\x1c" * 70_000, b"\x18\xff\xff\xff\xff\x7f", b"\x19\xf3\xff\xff\xff\xff\x7f"]
)
def test_headers_without_sense_are_damage(tmp_path, header):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"image": [b"png" * 40_000], "label": ["1"]}), path, use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[4 : 4 + len(header)] = header or bytes(30)
    path.write_bytes(data)
    with pytest.raises(InputError, match="a.parquet"):
        open_source(path)


@pytest.mark.parametrize("content", [b"\x80" * 999, bytes(3), b"\x19\xf3\xff\xff\xff\xff\xff\x7f" + bytes(99), b"\x15"])
def test_a_list_of_columns_without_sense_is_damage(tmp_path, content):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + content + len(content).to_bytes(4, "little") + b"PAR1")
    with pytest.raises((ValueError, LookupError)):
        page_sizes(path, "image")


def test_a_list_of_columns_that_is_too_long_is_not_read(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(bytes(MAX_LIST + 99) + (MAX_LIST + 1).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(ValueError, match="its list of columns has more than 2 MiB"):
        page_sizes(path, "image")
