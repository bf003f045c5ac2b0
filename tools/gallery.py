"""`mcore gallery`: writes the pages of every part, with drawings, counts and options."""

import argparse
from pathlib import Path

from models.writing.gallery import gallery

EXAMPLE = "mcore gallery --only 'neck'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default="docs/gallery", metavar="FOLDER", help="where to write them")
    parser.add_argument(
        "--only", default="*", metavar="GLOB", help="pages to write: 'backbone', '*eck', 'index'; all, where left out"
    )


def run(arguments: argparse.Namespace) -> None:
    files = gallery(arguments.only)
    if not files:
        raise ValueError(f"--only {arguments.only}: no page is like that")
    folder = Path(arguments.out)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    # A drawing of what is there no more.
    for page in (name.removesuffix(".md") for name in files if name.endswith(".md")):
        for path in folder.glob(f"drawings/{page}.*.svg"):
            if f"drawings/{path.name}" not in files:
                path.unlink()
    print(f"{folder}: {len(files)} files")
