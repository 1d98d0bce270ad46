"""Captions: reStructuredText with Jinja, as Snakemake's own report has them."""

from typing import Any

from docutils.core import publish_parts
from docutils.utils import SystemMessage
from jinja2 import Environment, TemplateError
from markupsafe import Markup

from pipeline.errors import UserError

WARNING = 2


class CaptionError(UserError, ValueError):
    """A caption cannot be rendered."""


def rendered(text: str, where: str, prefix: str, **known: Any) -> Markup:
    """HTML of a caption.

    Args:
        text: reStructuredText with Jinja. where: its file, for messages. prefix: of ids in it. known: names that it can
            use, as `snakemake`.

    Raises:
        CaptionError: Jinja or docutils find a mistake, warnings included.
    """
    try:
        plain = Environment(trim_blocks=True, lstrip_blocks=True).from_string(text).render(**known)
        parts = publish_parts(
            plain,
            writer="html5",
            settings_overrides={
                "id_prefix": f"{prefix}-",
                "initial_header_level": 3,
                "doctitle_xform": False,
                "file_insertion_enabled": False,
                "raw_enabled": False,
                "report_level": WARNING,
                "halt_level": WARNING,
                "warning_stream": False,
            },
        )
    except (TemplateError, SystemMessage) as error:
        raise CaptionError(f"{where}: the caption cannot be rendered ({' '.join(str(error).split())})") from error
    return Markup(parts["fragment"])
