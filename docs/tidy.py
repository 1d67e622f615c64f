"""A hook of mkdocs: docstrings speak of functions as Sphinx does; its roles are taken off."""

import re


def on_page_content(html: str, **_) -> str:
    """Turn ``:func:`x``` of a docstring into plain code."""
    return re.sub(r":(?:func|meth|class|attr|mod):(<code>)~?", r"\1", html)
