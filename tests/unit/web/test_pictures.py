"""The pictures of the documentation: each that is shown is taken by the browser tests, none too large, none unused."""

import re
from pathlib import Path

from datong.kernel import Language
from datong.web.manual import DOCS
from datong.web.manual.site import webp_size
from tests.integration.console.pictures import BYTES_MAX, FOLDER, PICTURES, TOTAL_BYTES_MAX, noted

ROOT = Path(__file__).parents[3]
SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)]*pictures/console/([\w-]+)\.(zh|en)\.webp)\)")
READMES = {Language.EN: ROOT / "README.md", Language.ZH: ROOT / "README.zh-CN.md"}


def pages(language: Language) -> list[Path]:
    """Return what is written for readers of a language."""
    return [*sorted((DOCS / "guide" / language.value).glob("*.md")), READMES[language]]


def test_every_picture_is_taken_for_a_page_and_every_page_shows_one_that_is_taken() -> None:
    for language in Language:
        shown: set[str] = set()
        for path in pages(language):
            for words, address, name, spoken in SHOWN.findall(path.read_text(encoding="utf-8")):
                assert (path.parent / address).resolve() == FOLDER / f"{name}.{spoken}.webp", path.name
                assert spoken == language.value, f"{path.name}: {name} is in the other language"
                assert bool(re.search(r"[㐀-鿿]", words)) is (language is Language.ZH), f"{path.name}: {words}"
                assert len(words) >= 8, f"{path.name}: {name} has no words for who does not see it"
                shown.add(name)
        assert shown == set(PICTURES), f"{language.value}: shown, or taken, but not both"


def test_pictures_are_there_in_both_languages_and_small() -> None:
    files = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    wanted = {f"{name}.{language.value}.webp" for name in PICTURES for language in Language}
    assert set(files) == wanted, "make pictures"
    assert set(noted()) == {name.removesuffix(".webp") for name in wanted}, "make pictures"
    assert {name: len(body) for name, body in files.items() if len(body) > BYTES_MAX} == {}
    assert sum(map(len, files.values())) <= TOTAL_BYTES_MAX
    for name, body in files.items():
        size = webp_size(body[:30])
        assert size is not None, name
        assert min(size) >= 200, name
    assert webp_size(b"RIFF") is None
