"""One HTML page out of a template and style sheets: it loads nothing, has no script, and escapes every text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcore.checkpoint.extras import needed
from mcore.checkpoint.shown import texts


def render(
    template: Path, styles: Sequence[Path], context: Mapping[str, Any], *, filters: Mapping[str, Callable[..., str]]
) -> str:
    """A page; the same values give the same page.

    Args:
        template: gets `style`, the style sheets as one, and `style_hash`, which its policy allows beside the values.
        styles: files of style sheets, in order.
        context: values of the template.
        filters: functions of the template, beside `plain`, which shows what isn't seen, or turns a line's direction,
            as an escape.

    Raises:
        ImportError: jinja2 isn't installed; the message has the command.
    """
    jinja2 = needed("jinja2", "train", what="the report of a run")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plain": visible, **filters}
    style = "\n".join(path.read_text("utf-8") for path in styles)
    return environment.get_template(template.name).render(
        **context,
        # Ours, and nobody else's text.
        style=jinja2.utils.markupsafe.Markup(style),
        style_hash="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def visible(text: Any) -> str:
    """What would turn the direction of a line, or isn't seen, as an escape; line ends stay."""
    return "\n".join(map(texts.plain, str(text).splitlines()))


__all__ = ["render", "visible"]
