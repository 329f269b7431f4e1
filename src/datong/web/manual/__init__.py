"""The documentation as a site: the Markdown of docs/, with navigation, a search and both languages.

The hub serves it under /help, `make docs` writes it to a folder; both are the same files, byte for byte.
"""

from datong.web.manual.contents import CHAPTERS, Chapter
from datong.web.manual.markdown import Document, Heading
from datong.web.manual.sections import HelpSection, section_of
from datong.web.manual.site import DOCS, HELP_PATH, Asset, Site

__all__ = [
    "CHAPTERS",
    "DOCS",
    "HELP_PATH",
    "Asset",
    "Chapter",
    "Document",
    "Heading",
    "HelpSection",
    "Site",
    "section_of",
]
