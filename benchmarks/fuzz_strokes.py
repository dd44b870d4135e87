"""The stroke data that fuzz.py starts from: whole files, and some that are hostile."""

import gzip
import io
import json
import tarfile

SVG = """<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="109" height="109" xmlns:kvg="https://kanjivg.tagaini.net/">
<g id="kvg:StrokePaths_a"><g id="kvg:a" kvg:element="a">%s</g></g>
</svg>"""


def svgs() -> list[bytes]:
    """Return drawings like KanjiVG's, also with entities, without end and of numbers beyond reason."""
    path = '<g><path d="M60.96,16.08c-5.06,9.1-28.1,48.04-34.46,58.45"/></g><path d="M10,20L90,20V80H10S9,8,7,6"/>'
    bomb = "<!DOCTYPE svg [<!ENTITY a '" + "a" * 9999 + "'><!ENTITY b '" + "&a;" * 9999 + "'>]>"
    texts = [
        SVG % path, SVG % (path * 200), SVG % ("<g>" * 20_000 + "</g>" * 20_000), SVG % '<path d="M1e999,nan"/>',
        SVG % '<path d="M9e307,9e307c1e308,1e308,1e308,1e308,1e308,1e308"/>', SVG % '<path d=""/><path/>',
        SVG % f'<path d="M0,0{"L0,100L100,0" * 9999}"/>', SVG.replace("\n", "\n" + bomb, 1) % "&b;", "<svg/>",
    ]  # fmt: skip
    return [*(text.encode() for text in texts), (SVG % path).encode("utf-16"), b"\0" * 99]


def medians() -> list[bytes]:
    """Return files like those of hanzi-writer-data, alone and as tarballs, one of which unpacks without end."""
    whole = json.dumps({"strokes": [], "medians": [[[9, 9], [900, 800]], [[5, 400], [800, 0]]], "radStrokes": [0]})
    texts = [
        whole, '{"medians": [[[1e999, 0], [0, 0]]]}', '{"medians": [[[NaN, 0], [0, 0]]]}', '{"medians": [[]]}',
        "[" * 10**5, '{"medians": [[[' + "9" * 5000 + ", 1]]]}", '{"medians": {"a": 1}, "radStrokes": 3}',
        '{"medians": [[[0, 0], [900, 900]' + ", [0, 9], [900, 0]" * 999 + "]]}",
        '{"medians": [[[0, 0]]], "radStrokes": [[]]}',
    ]  # fmt: skip
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in zip("一二", texts, strict=False):
            info = tarfile.TarInfo(f"package/{name}.json")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    endless = tarfile.TarInfo("package/三.json")
    endless.size = 2**36
    packed = gzip.compress(archive.getvalue())
    header = endless.tobuf(tarfile.PAX_FORMAT)
    pax = tarfile.TarInfo("././@PaxHeader")
    pax.type, pax.size = tarfile.XHDTYPE, 2**33
    bombs = [gzip.compress(start.tobuf() + bytes(2**28)) for start in (endless, pax)]
    return [texts[0].encode(), packed, *(text.encode() for text in texts[1:]), gzip.compress(header), *bombs]
