"""The README's picture of drawn characters in five scripts: a row or two of each, every cell by another drawn writer.

    python -m benchmarks.scripts docs/scripts.png

It needs both kinds of stroke data, see the README.
"""

import argparse

import numpy as np
from PIL import Image

from readers.characters import CharactersSource

ROWS = (  # digits, Latin letters, kana, Japanese and Chinese characters
    "0123456789012345", "ABDEFGHKMQRSWXYZ", "abcdefghkmnqrtyz", "あいうえおかきくさしすたなはまや",
    "アイウエオカキクサシスタナハマヤ", "永東海山川森風雪月花鳥馬魚龍道愛", "博学笃志切问近思自由无用书写汉字",
)  # fmt: skip


def draw_grid(rows: tuple[str, ...], size: int, hanzi_path: str | None = None) -> np.ndarray:
    """Return an image uint8 (rows · size, columns · size) of drawn characters, each by another writer."""
    writers = 5 * max(map(len, rows))
    source = CharactersSource("".join(rows), writers, size, hanzi_path=hanzi_path)
    cells: dict[str, list[np.ndarray]] = {}
    for sample in source:
        cells.setdefault(source.classes[sample.label], []).append(sample.image)
    number = iter(range(10**6))
    return np.block([[cells[one][7 * next(number) % writers] for one in row] for row in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="the PNG to write")
    parser.add_argument("--size", type=int, default=56, help="pixels per side of a character")
    parser.add_argument("--rows", nargs="+", default=ROWS, help="the characters of each row, as many in each")
    parser.add_argument("--hanzi-path", help="hanzi-writer-data; by default what FIT_CHAR_HANZI names")
    options = parser.parse_args()
    Image.fromarray(draw_grid(tuple(options.rows), options.size, options.hanzi_path)).save(
        options.output, optimize=True
    )


if __name__ == "__main__":
    main()
