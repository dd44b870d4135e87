"""Hostile files for fuzz.py: foreign formats, two files in one, names in any encoding, members of 2 GB."""

import gzip
import io
import pickle
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

GIANT = 2**31  # bytes


def foreign_files() -> list[bytes]:
    """Return beginnings of formats that Pillow, or what it starts, would decode if it were asked to, and of others."""
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(it_ran) (w) file closefile\n%%EOF\n"
    boxes = [b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + brand + b"mif1" for brand in (b"heic", b"avif", b"jp2 ")]
    return [
        postscript, b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 30, len(postscript)) + bytes(18) + postscript,
        b"%PDF-1.7\n1 0 obj << /Type /Catalog /OpenAction << /S /Launch /F (it_ran) >> >>\n%%EOF",
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>',
        b"icns" + struct.pack(">I4sI", 24, b"ic07", 16) + b"\0\0\0\x0cjP  \r\n", b"\xd7\xcd\xc6\x9a" + bytes(40),
        b"Image type: L\r\nImage size (x*y): 99999*99999\r\nLut: 1\r\n".ljust(512, b"\0") + bytes(64),
        b"\x01\0\0\0" + bytes(36) + b" EMF" + bytes(60), bytes(4) + b"\x11\xaf" + bytes(122), b"\x59\xa6\x6a\x95" * 9,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), b"SIMPLE  =                    T".ljust(2880), b"BUFR" * 9,
        b"#!/bin/sh\nmkdir it_ran\n", b"\x7fELF" + bytes(60), b"GIF89a" + b"\xff" * 7 + b"=1;import os//", *boxes,
    ]  # fmt: skip


def giant_images() -> list[bytes]:
    """Return small image files that claim, or have, very many pixels."""
    header = struct.pack(">II5B", 2**31 - 1, 2**31 - 1, 1, 0, 0, 0, 0)
    claim = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    bitmap = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 62, 0, 62, 40, 65_535, 65_535, 1, 1, 0, 0, 0, 0, 0, 0) + bytes(8)
    large = []
    for side, kind in ((9000, "PNG"), (7000, "GIF"), (6000, "TIFF")):
        buffer = io.BytesIO()
        Image.new("1", (side, side), 1).save(buffer, kind, **({"compression": "group4"} if kind == "TIFF" else {}))
        large.append(buffer.getvalue())
    return [
        claim, bitmap, b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(3) + b";", *large,
        b"P5 60000 60000 255\n", b"II*\0" + struct.pack("<IHHHII", 8, 65_535, 256, 4, 1, 2**31) * 3,
    ]  # fmt: skip


def joined(good: bytes) -> list[bytes]:
    """Return a file with one of another format in front of it, or behind it: which of them is it?"""
    buffer, array, archive = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.new("L", (9, 9)).save(buffer, "PNG")
    np.save(array, np.zeros((2, 2)))
    with zipfile.ZipFile(archive, "w") as inner:
        inner.writestr("1/evil.png", foreign_files()[0])
    others = [
        buffer.getvalue(), array.getvalue(), archive.getvalue(), gzip.compress(b"\0\0\x08\x01\0\0\0\1\1"),
        pickle.dumps([1], protocol=2), b"path,label\n1.png,1\n", b"{}", foreign_files()[0],
    ]  # fmt: skip
    return [both for other in others for both in (other + good, good + other)]


def giant_zip(name: str, members: dict[str, bytes]) -> bytes:
    """Return a .zip whose first member, of that name, expands to GIANT bytes, all of them zero."""
    zeros, packer, checksum = bytes(2**24), zlib.compressobj(9, zlib.DEFLATED, -15), 0
    piece = packer.compress(zeros) + packer.flush(
        zlib.Z_FULL_FLUSH
    )  # refers to nothing before it, so it can be repeated
    data = piece * (GIANT // len(zeros)) + packer.flush()
    for _ in range(GIANT // len(zeros)):
        checksum = zlib.crc32(zeros, checksum)
    info = zipfile.ZipInfo(name)
    info.compress_type, info.CRC, info.header_offset = zipfile.ZIP_DEFLATED, checksum, 0
    info.compress_size, info.file_size = len(data), GIANT
    buffer = io.BytesIO(info.FileHeader() + data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.filelist.append(info)
        for other, content in members.items():
            archive.writestr(zipfile.ZipInfo(other), content)
    return buffer.getvalue()


def many_members(count: int) -> bytes:
    """Return a .zip of so many empty files."""
    names = [b"%d/%07d.png" % (k % 12, k) for k in range(count)]
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, len(names[0]), 0)
    members = b"".join(local + name for name in names)
    entry = struct.pack("<4s6H3I5HI", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(names[0]), 0, 0, 0, 0, 0)
    places = (k * (len(local) + len(names[0])) for k in range(count))
    listed = b"".join(entry + struct.pack("<I", place) + name for place, name in zip(places, names, strict=True))
    number = min(count, 65_535)  # which zipfile does not believe
    return members + listed + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, number, number, len(listed), len(members), 0)


def large_array() -> np.ndarray:
    """Return images uint8 (1200, 512, 512): 315 MB that compress to 2, as those of an honest set may."""
    x = np.zeros((1200, 512, 512), np.uint8)
    x[:8] = np.random.default_rng(0).integers(0, 256, x[:8].shape, np.uint8)
    return x


ENCODINGS = ("utf-8", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "utf-16-be", "utf-7")


def name_lists() -> list[bytes]:
    """Return names of images, two or more per class, as bytes with NULs between them."""
    pairs = [
        ("中", "日"),
        ("à", "é"),
        ("1", "01"),
        ("²", "٢"),
        ("a", "A"),
        ("é", "e\u0301"),
        ("CON", "nul.txt"),
        ("-r", "*"),
    ]
    pairs += [
        ("a\nb", "c\r"),
        ("x ", " x"),
        ("\u202eb", "b\ufeff"),
        ("train", "test"),
        ("b" * 250, "c" * 250),
        ("a\\b", "c:d"),
    ]
    pairs += [
        ("训练/中", "测试/中"),
        ("w1/中", "w2/日"),
        ("../a", "../../b"),
        ("/etc", "C:"),
        ("....", "~"),
        (".a", "__MACOSX"),
    ]
    lists = []
    for k, pair in enumerate(pairs):
        text = [f"{folder}/{i}{folder[-1]}.png" for folder in pair for i in range(3)]
        for encoding in ENCODINGS if k < 2 else ENCODINGS[:1]:
            lists.append(b"\0".join(name.encode(encoding, "ignore").replace(b"\0", b"") for name in text))
    lists.append(b"\0".join(bytes([128 + k]) + b"/" + bytes([255 - i]) + b".png" for k in range(3) for i in range(3)))
    lists.append(b"\0".join(f"{k}/a.png".encode() for k in range(500)))
    mixed = ("中", "gb18030"), ("日", "shift_jis"), ("한", "euc_kr"), ("é", "latin-1")
    return [*lists, b"\0".join(name.encode(code) + b"/%d.png" % i for name, code in mixed for i in range(3))]


class RawName(zipfile.ZipInfo):
    """A member whose name is any bytes, with or without the flag that says that they are UTF-8."""

    def __init__(self, name: bytes, is_utf8: bool):
        super().__init__("name")
        self.raw, self.flag = name, 0x800 * is_utf8

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.raw, self.flag_bits | self.flag
