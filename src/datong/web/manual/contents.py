"""What the site's navigation lists, in its order: chapters of pages, each named by its file below docs/."""

from datong.kernel import Language, Text, Value

GUIDE = "guide"
"""The folder of what is written in both languages, `guide/<language>/<name>.md`; everything else is in English."""


class Chapter(Value):
    """A group of pages; `guide` ones are named without their language."""

    name: Text
    pages: tuple[str, ...]
    guide: bool = False

    def sources(self, language: Language) -> tuple[str, ...]:
        """Return the files of the chapter for a reader of `language`."""
        return tuple(f"{GUIDE}/{language.value}/{page}" for page in self.pages) if self.guide else self.pages


def _chapter(zh: str, en: str, *pages: str, guide: bool = False) -> Chapter:
    return Chapter(name=Text(zh=zh, en=en), pages=tuple(f"{page}.md" for page in pages), guide=guide)


def _in(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


ROLES = ("data-officer", "business-clerk", "operator", "authority", "auditor", "citizen")
"""The guides of the six kinds of people, one a role."""
CHAPTERS = (
    _chapter("按角色", "By role", *ROLES, guide=True),
    _chapter(
        "按主题",
        "By subject",
        *("working", "catalogue", "sources", "sharing", "transfers", "library", "oversight", "norms", "portal"),
        guide=True,
    ),
    _chapter(
        "各系统详解",
        "The systems in depth",
        *("architecture", "console", "demo", "catalogue", "inventory", "search", "sources", "harvest"),
        *("library", *_in("library", "block-data", "corrections", "definitions", "engines", "incremental", "review")),
        *_in("library", "spatial", "versions"),
        *("governance", "coordination", "notifications", "norms", "glossary"),
    ),
    _chapter(
        "交换",
        "Exchange",
        *_in("exchange", "README", "howto", "tasks", "modes", "connectors", "delivery", "applying", "live"),
        *_in("exchange", "reconciliation", "observability", "capabilities", "data-path"),
    ),
    _chapter(
        "共享",
        "Sharing",
        *_in("sharing", "README", "first-answer", "agreements", "service-items", "citizens", "wishes", "applications"),
        *_in("sharing", "simulator", "without-giving-away", "delta-sharing"),
        *("gateway",),
    ),
    _chapter(
        "运维手册",
        "Operator guide",
        *("operation", "deployment", "scaling", "capacity"),
        *_in("operations", "watching", "backup", "doctor", "retention", "sign-in"),
        *("reliability", "security", "settings"),
    ),
    _chapter("接口与协议", "API and protocol", "interfaces", "api", "ledger", "stability"),
    _chapter(
        "开发者手册",
        "Developer guide",
        *("development", "releasing", "benchmarks", "benchmarks-history", "adr/README"),
    ),
)
"""Decisions (adr/) are pages, too; their list is adr/README."""
