"""The documentation as a site: every link leads somewhere, guides say the same in both languages, nothing is run."""

import json
import posixpath
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from datong.kernel import Language
from datong.web.console.desk import TEMPLATES
from datong.web.console.manual import help_site, site_of
from datong.web.manual import CHAPTERS, DOCS, section_of
from datong.web.manual.markdown import headings_of, rendered
from datong.web.manual.site import search_address

ROOT = Path(__file__).parents[3]
GUIDES = sorted(path.name for path in (DOCS / "guide" / "en").glob("*.md"))
ELSEWHERE = re.compile(r"\]\((\.\./[^)#]+)")


class Read(HTMLParser):
    """What a page links to, and what can be linked to on it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page)

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [value for name in ("href", "src") if (value := given.get(name))]
        if identity := given.get("id"):
            assert identity not in self.anchors, identity
            self.anchors.add(identity)


@cache
def read(address: str) -> Read:
    asset = help_site().file(address)
    assert asset is not None, address
    page = asset.body.decode()
    # The contents are the same on every page: of most only what is their own is read.
    return Read(page if address.endswith("index.html") else page[page.index("<main") : page.index("</main>")])


def test_every_link_of_every_page_leads_to_a_page_and_an_anchor_of_the_site() -> None:
    known = set(help_site().addresses())
    pages = [address for address in known if address.endswith(".html")]
    assert len(pages) > 150
    for address in pages:
        for link in read(address).links:
            path, _, anchor = link.partition("#")
            if path.startswith("https:"):
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(address), path)) if path else address
            assert target in known, f"{address}: {link}"
            if anchor and target.endswith(".html"):
                assert unquote(anchor) in read(target).anchors, f"{address}: {link}"


def test_links_out_of_the_documentation_lead_to_files_of_the_repository() -> None:
    for path in sorted(DOCS.rglob("*.md")):
        for link in ELSEWHERE.findall(path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.relative_to(ROOT)}: {link}"


def test_both_readmes_lead_to_the_same_places() -> None:
    found = []
    for name, language in (("README.md", "en"), ("README.zh-CN.md", "zh")):
        text = (ROOT / name).read_text(encoding="utf-8")
        links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)", text)} - {"README.md", "README.zh-CN.md"}
        assert [link for link in links if not (ROOT / link).exists()] == []
        found.append({re.sub(rf"([/.]){language}([/.])", r"\1*\2", link) for link in links})
    assert found[0] == found[1]


def test_every_file_stands_in_the_contents_and_every_address_has_a_file() -> None:
    site = help_site()
    listed = {source for language in Language for chapter in CHAPTERS for source in chapter.sources(language)}
    listed |= {f"guide/{language.value}/README.md" for language in Language}
    unlisted = {source for source in site.sources.values() if source not in listed and not source.startswith("adr/")}
    assert unlisted == set()
    # What only a site in a folder has.
    assert {source for source in listed if not (DOCS / source).is_file()} == {"api.md"}
    for address in site.addresses():
        assert site.file(address) is not None, address


def test_every_decision_has_its_number_as_heading_and_one_line_in_the_list() -> None:
    decisions = sorted(path.name for path in (DOCS / "adr").glob("[0-9]*.md"))
    listed = re.findall(
        r"^\| \[(\d{4})\]\((\d{4}-[\w-]+\.md)\) \| ", (DOCS / "adr/README.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(name for _, name in listed) == decisions
    for number, name in listed:
        assert (DOCS / "adr" / name).read_text("utf-8").startswith(f"# {number}. "), name


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_has_the_same_outline_in_both_languages(name: str) -> None:
    texts = {one: (DOCS / "guide" / one.value / name).read_text(encoding="utf-8") for one in Language}
    levels = {one: [heading.level for heading in headings_of(text)] for one, text in texts.items()}
    assert levels[Language.ZH] == levels[Language.EN]
    links = {one: sorted(re.findall(r"\]\(([\w./-]+\.md)", text)) for one, text in texts.items()}
    assert links[Language.ZH] == links[Language.EN]
    for heading in headings_of(texts[Language.EN]):
        assert not re.search(r"[㐀-鿿]", heading.title), heading.title


def test_every_page_of_the_console_says_which_section_of_the_guides_is_about_it() -> None:
    found = 0
    for path in sorted(TEMPLATES.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        if not re.match(r'\{% extends [^%]*"(layout|public|base)\.html"', text) or path.name in {
            "layout.html",
            "public.html",
        }:
            continue
        named = re.search(r'^\{% set help = "([\w-]+#[\w-]+)" %\}$', text, re.MULTILINE)
        assert named, f"{path.name} names no section"
        section = section_of(named[1])
        for language in Language:
            assert section.anchor in help_site().anchors(section.source(language)), f"{path.name}: {named[1]}"
            assert section.address(language).startswith(f"/help/{language.value}/guide/")
        found += 1
    assert found > 120


def test_html_and_scripts_in_a_file_are_text() -> None:
    text = "# A <b>b</b>\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) ![y](javascript:1) [z](a.md) `<i>`\n"
    page = rendered(text, twin=None, link=lambda address: address)
    assert "<script" not in page.html
    assert "<b>" not in page.html
    assert 'href="javascript' not in page.html
    assert 'src="javascript' not in page.html
    assert page.headings[0].anchor == "a-bbb"
    assert "alert(1)" in page.passages[0].text
    gone = rendered("[words](../nowhere.md)", twin=None, link=lambda _: None)
    assert "<a" not in gone.html
    assert "words" in gone.html


def test_equal_headings_have_anchors_of_their_own_and_a_translation_has_both() -> None:
    page = rendered("# 甲\n\n## 乙\n\n文\n\n## 乙\n", twin="# One\n\n## Two\n\n## Three\n", link=lambda one: one)
    assert [(heading.anchor, heading.own) for heading in page.headings] == [
        ("one", "甲"),
        ("two", "乙"),
        ("three", "乙-1"),
    ]
    assert page.html.count("id=") == 6
    assert [(one.anchor, one.heading, one.text) for one in page.passages] == [
        ("one", "甲", ""),
        ("two", "乙", "文"),
        ("three", "乙", ""),
    ]


@pytest.mark.parametrize(
    "address", ["en/../../pyproject.toml", "en/adr", "assets/../app.js", "zh/operation.html", "x", "en/x.html", ""]
)
def test_what_the_site_does_not_have_is_not_found(address: str) -> None:
    assert help_site().file(address) is None


def test_the_search_of_each_language_has_its_own_guides_first_and_never_the_other_ones() -> None:
    for language, word in ((Language.ZH, "工作台"), (Language.EN, "The workbench")):
        asset = help_site().file(search_address(language))
        assert asset is not None
        text = asset.body.decode().removeprefix("window.datongPassages=").removesuffix(";")
        passages = json.loads(text)
        assert passages[0][0].startswith(f"{language.value}/")
        assert any(heading == word for _, _, _, heading, _ in passages)
        guides = {address.split("/")[0] for address, *_ in passages if "/guide/" in address}
        assert guides == {language.value}


def test_a_folder_with_the_page_of_the_interface_lists_it(tmp_path: Path) -> None:
    for name in ("guide/en/README.md", "guide/zh/README.md", "api.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# The REST interface\n", encoding="utf-8")
    asset = site_of(tmp_path).file("en/index.html")
    assert asset is not None
    assert 'href="api.html"' in asset.body.decode()
