"""The templates, and what they may call."""

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lezha.node.clock import lasting
from lezha.web import words

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"
VENDOR: Final = STATIC / "vendor"


def environment() -> Environment:
    """Return a Jinja environment that escapes everything and knows the words of the pages."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        clock=words.clock,
        count=words.count,
        endpoint=words.endpoint,
        duration=lasting,
        latency=words.latency,
        local=words.local_time,
        number=words.number,
        plain=words.plain,
        prose=words.prose,
        tlp=words.tlp,
        reason=words.reason,
        short=words.short,
        visible=words.visible,
    )
    made.globals["words"] = words
    return made


ENVIRONMENT: Final = environment()


def fragment(name: str, **context: Any) -> Markup:
    """Render one template to HTML."""
    return Markup(ENVIRONMENT.get_template(name).render(context))  # noqa: S704  # the template has escaped it


def live() -> bool:
    """True if the scripts that keep pages live are there: without npm at build, pages refresh plainly."""
    return all((VENDOR / name).is_file() for name in ("htmx.min.js", "sse.min.js"))
