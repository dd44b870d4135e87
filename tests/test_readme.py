"""The two READMEs say the same: their commands, figures, pictures and trees. Links in all documents lead somewhere."""

import re
from collections import Counter

import pytest
from conftest import ROOT

ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
DOCUMENTS = [*sorted(path.name for path in ROOT.glob("*.md")), "benchmarks/README.md", "data/README.md"]
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
TREE = "```\nfit_char.ipynb "  # the beginning of the block with the tree of files


def commands(text: str) -> list[str]:
    """Return the blocks of commands and code, without their comments."""
    return [re.sub(r" +# .*", "", block) for block in BLOCK.findall(text) if not block.startswith(TREE)]


def tree(text: str) -> list[str]:
    """Return the paths in the tree of files."""
    (block,) = (block for block in BLOCK.findall(text) if block.startswith(TREE))
    return [path for line in block.splitlines()[1:-1] for path in line[:22].split()]


def test_the_same_commands_in_the_same_order():
    assert commands(CHINESE) == commands(ENGLISH) and len(commands(ENGLISH)) == 9


def test_the_same_figures():
    def figures(text: str) -> Counter:
        prose = re.sub(r"\]\([^)]*\)", "]", BLOCK.sub("", text))  # without links
        return Counter(re.findall(r"\d[\d,.]*\d|\d", prose))

    ours, theirs = figures(ENGLISH), figures(CHINESE)
    assert ours == theirs, f"only in English {ours - theirs}, only in Chinese {theirs - ours}"


def test_the_same_pictures():
    pictures = re.findall(r"!\[[^]]*\]\((.*?)\)", ENGLISH)
    assert len(pictures) == 4 and pictures == re.findall(r"!\[[^]]*\]\((.*?)\)", CHINESE)


def test_the_same_tree_of_what_exists():
    assert tree(CHINESE) == tree(ENGLISH)
    for path in tree(ENGLISH):
        assert (ROOT / path).exists(), path
    modules = {path.name for path in ROOT.glob("*.py")}
    packages = {f"{path.parent.name}/" for path in ROOT.glob("*/__init__.py")}
    assert modules | packages <= set(tree(ENGLISH))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    document = ROOT / name
    for link in re.findall(r"\]\(([^)]*)\)", BLOCK.sub("", document.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = document.parent / file if file else document
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
            assert anchor in anchors, link
