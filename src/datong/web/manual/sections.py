"""Which section of the guides a page of the console means by its `?`."""

from datong.kernel import Language, Value
from datong.web.manual.contents import GUIDE
from datong.web.manual.site import HELP_PATH, address_of


class HelpSection(Value):
    """A section of a guide, as a page's template names it: `transfers#one-transfer`."""

    page: str
    anchor: str

    def source(self, language: Language) -> str:
        """Return the guide's file below docs/."""
        return f"{GUIDE}/{language.value}/{self.page}.md"

    def address(self, language: Language) -> str:
        """Return where the hub shows the section."""
        return f"{HELP_PATH}/{address_of(self.source(language))}#{self.anchor}"


def section_of(named: str) -> HelpSection:
    """Return the section that `page#anchor` names."""
    page, _, anchor = named.partition("#")
    return HelpSection(page=page, anchor=anchor)
