"""The documentation is true: its Python runs on the engines it is for and prints what it says, its commands exist.

A page's ```python blocks share one namespace, in a fresh interpreter and an empty folder. Comments above a block:

<!-- engines: torch -->     the block runs there only; before a page's title, the whole page
<!-- file: name.yaml -->    the block is a file, which is written for the blocks below it
<!-- run -->                this ```console block is run, not only looked up

A ```text block is what the block above it prints; `...` stands for anything.
"""

import ast
import doctest
import importlib.util
import itertools
import re
import shlex
import tomllib
from typing import NamedTuple

import pytest

from tests import isolation
from tools.cli import COMMANDS

PAGES = [isolation.ROOT / "README.md", *sorted((isolation.ROOT / "docs").glob("*.md"))]
# Generated: tests/models/test_gallery.py builds what stands on these.
GALLERY = sorted((isolation.ROOT / "docs" / "gallery").glob("*.md"))
ENGINES = ("torch", "platform")
# Stands between what one block prints and what the next one does; nothing that `strip` takes away.
_MARK = "\x02"
_COMMENT = re.compile(r"<!-- (\w+)(?:: (.*?))? -->")


class Block(NamedTuple):
    """A fenced block: its language, content, number of its opening line, and the comment above it."""

    language: str
    lines: list[str]
    opening: int
    comment: dict[str, str]

    @property
    def content(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    def runs_on(self, engine: str) -> bool:
        return engine in self.comment.get("engines", " ".join(ENGINES)).split()


def blocks_of(text: str) -> list[Block]:
    """Every fenced block of a page, in order; comments of the whole page are handed to each."""
    found: list[Block] = []
    page: dict[str, str] = {}
    comment: dict[str, str] = {}
    opening: int | None = None
    indent = 0  # of a block in a list
    titled = False
    for number, whole in enumerate(text.splitlines()):
        line = whole.strip()
        if opening is not None:
            if line == "```":
                opening = None
            else:
                found[-1].lines.append(whole[indent:])
        elif line.startswith("```"):
            opening, indent = number, whole.index("`")
            found.append(Block(line.removeprefix("```"), [], number, {**page, **comment}))
            comment = {}
        elif match := _COMMENT.fullmatch(line):
            (comment if titled else page)[match[1]] = match[2] or ""
        elif line:
            titled, comment = titled or line.startswith("#"), {}
    assert opening is None, f"the block of line {opening} has no end"
    return found


def program_of(blocks: list[Block], engine: str) -> str:
    """A page as a program whose line numbers are the page's."""
    length = max((block.opening + len(block.lines) + 1 for block in blocks), default=0)
    lines = [""] * length
    for block in blocks:
        if not block.runs_on(engine):
            continue
        mark = f"print({_MARK!r}, {block.opening}, sep='', flush=True); "
        if "file" in block.comment:
            name = block.comment["file"]
            lines[block.opening] = f"{mark}open({name!r}, 'w').write({block.content!r})"
        elif block.language == "python":
            lines[block.opening] = mark
            lines[block.opening + 1 : block.opening + 1 + len(block.lines)] = block.lines
        elif block.language == "console" and "run" in block.comment:
            lines[block.opening] = mark + "; ".join(_call(words) for words in map(shlex.split, block.lines))
    return "\n".join(lines) + "\n"


def _call(words: list[str]) -> str:
    """The statement that runs a command and prints what that prints."""
    module = words[2:] if words[:2] == ["python", "-m"] else ["tools.cli", *words[1:]]
    start = "__import__('subprocess').run([__import__('sys').executable, '-m', "
    return f"print({start}*{module!r}], check=True, stdout=-1, text=True).stdout, end='')"


def run(page, engine: str, folder) -> dict[int, str]:
    """What each block of a page prints, by the line of its opening."""
    program = folder / "page.py"
    program.write_text(program_of(blocks_of(page.read_text()), engine))
    start = f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')"
    hidden = [] if engine == "torch" else ["torch"]
    printed = isolation.run(start, engine=engine, without=hidden, cwd=folder)
    pieces = [piece.partition("\n") for piece in printed.split(_MARK)[1:]]
    return {int(opening): text for opening, _, text in pieces}


def check(page, engine: str, folder) -> int:
    """Runs a page's blocks; the number of those whose output was compared.

    Raises:
        AssertionError: a block fails, or prints something else than what stands below it.
    """
    blocks = blocks_of(page.read_text())
    printed = run(page, engine, folder)
    count = 0
    for before, block in itertools.pairwise(blocks):
        if block.language == "text" and before.runs_on(engine):
            got = printed[before.opening].rstrip() + "\n"
            same = doctest.OutputChecker().check_output(block.content, got, doctest.ELLIPSIS)
            assert same, f"line {block.opening + 1} of {page.name} prints:\n{got}"
            count += 1
    return count


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_snippet_runs_and_prints_what_stands_below_it(page, engine, tmp_path):
    check(page, engine, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_exists(page):
    lines = [line for b in blocks_of(page.read_text()) if b.language == "console" for line in b.lines]

    unknown = [line for line in lines if not _exists(shlex.split(line, comments=True))]

    assert not unknown


@pytest.mark.parametrize("page", PAGES + GALLERY, ids=lambda page: page.stem)
def test_every_block_says_its_language_and_every_link_leads_to_a_file(page):
    text = page.read_text()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", prose) if "://" not in link]

    assert {block.language for block in blocks_of(text)} <= {"python", "console", "text", "toml", "yaml"}
    assert not [link for link in links if not (page.parent / link).exists()]


def _exists(words: list[str]) -> bool:
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    match words:
        case []:
            return True
        case ["make", *targets]:
            text = (isolation.ROOT / "Makefile").read_text()
            return all(re.search(rf"^{target}:", text, re.MULTILINE) for target in targets)
        case ["mcore", command, *_]:
            return command in COMMANDS
        case ["python", "-m", module, *_]:
            return importlib.util.find_spec(module) is not None
        case ["python", "-c", code]:
            return bool(ast.parse(code))
        case ["pip", "install", *rest]:
            known = tomllib.loads((isolation.ROOT / "pyproject.toml").read_text())["project"]
            extras = [name for word in rest for name in re.findall(r"^\.\[([\w,]+)\]", word)]
            return all(part in known["optional-dependencies"] for e in extras for part in e.split(","))
        case _:
            return False


def test_a_block_that_prints_something_else_is_found_on_the_engine_that_it_is_for(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- engines: torch -->\n```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")

    with pytest.raises(AssertionError, match=r"line 8 of page\.md prints:\s+2\s"):
        check(page, "torch", tmp_path)
    assert check(page, "platform", tmp_path) == 0
