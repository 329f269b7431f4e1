"""The catalogue's search: how well it finds, and how fast over a million resources, against plain full-text search.

Relevance comes from `benchmarks/relevance` (method in its README): nDCG@10 and MRR over the queries kept for the final
figure, the same for FTS5 over pairs of characters and over jieba's words. Speed is measured through the service as a
page is made: parse, match, count, all facets, twenty resources read from the control database, highlights. The peer at
full size answers less: it ranks and counts, without facets, resources or highlights.
"""

import argparse
import hashlib
import json
import math
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import jieba
from sqlalchemy import insert
from tests.catalogue_filling import real_titles

from benchmarks import report
from datong.app.schema import migrate
from datong.catalogue import Discovery, Item, ResourceContent, SearchIndex, SearchRequest
from datong.catalogue.search import evaluate
from datong.catalogue.search_feed import EVERYTHING, record_changes
from datong.catalogue.search_query import Vocabulary
from datong.catalogue.search_segment import SearchDocument, build_segment
from datong.catalogue.search_text import RUN, fold, is_han
from datong.catalogue.search_view import IndexView, SearchOrder
from datong.catalogue.tables import department, listing, resource, version
from datong.catalogue.vocabulary import pack_families, pack_words
from datong.kernel import Database, SystemClock, Text
from datong.ledger import Ed25519Signer, Ledger, MemoryTileStore
from datong.norms import Grade, NormPack, ShareType, load_pack

RELEVANCE = Path(__file__).parent / "relevance"
RELEVANT_RESOURCES = 6_000
TITLE_QUERIES = 1_000
RELEVANT_GRADE = 2
ROWS_AT_ONCE = 5_000
DEPARTMENTS = 500
PAGE = 20
ITEM_NAMES = """姓名 公民身份号码 性别 民族 出生日期 联系电话 住址 单位名称 统一社会信用代码 法定代表人
登记日期 行政区划代码 有效期 许可证编号 发证机关 经营范围 注册资本 状态
备注 项目名称 金额 面积 数量 年度 类别 经度 纬度 负责人"""
Search = Callable[[str], list[str]]


class Judged(NamedTuple):
    """One query of the relevance set."""

    kind: str
    final: bool
    text: str
    grades: dict[str, int]


class Row(NamedTuple):
    """One real resource."""

    key: str
    title: str
    rest: str


def relevant_rows() -> list[Row]:
    """Return the resources of the relevance set."""
    titles = real_titles()
    by_digest = sorted(range(len(titles)), key=lambda number: hashlib.sha256(f"relevance-1/{number}".encode()).digest())
    return [
        Row(
            str(number),
            titles[number]["title"],
            " ".join(titles[number][name] for name in ("description", "keywords", "publisher")),
        )
        for number in sorted(by_digest[:RELEVANT_RESOURCES])
    ]


def judged_queries() -> list[Judged]:
    """Return the queries with their judgements."""
    grades: dict[str, dict[str, int]] = {}
    for line in (RELEVANCE / "judgements.tsv").read_text().splitlines()[1:]:
        number, key, grade = line.split("\t")
        grades.setdefault(number, {})[key] = int(grade)
    rows = [line.split("\t") for line in (RELEVANCE / "queries.tsv").read_text().splitlines()[1:]]
    return [Judged(kind, part == "final", text, grades[number]) for number, kind, part, text in rows]


def our_search(pack: NormPack, rows: Sequence[Row]) -> Search:
    """Return our search over `rows`, in memory."""
    documents = [
        SearchDocument(row.key, row.title, (row.title, "", row.rest), ("", "1", "", "3", "", "L1", "1"), 0, 0)
        for row in rows
    ]
    view = IndexView([build_segment(documents)], [None])
    words = Vocabulary(pack_families(pack), pack_words(pack))

    def search(text: str) -> list[str]:
        outcome = evaluate(view, words, SearchRequest(text=text))
        best = view.ordered(outcome.selection, SearchOrder.RELEVANCE, outcome.query, 10)
        return [view.resource_id(each) for each in best]

    return search


def pairs(text: str) -> list[str]:
    """Return the pairs of characters, and the Latin words, of a text."""
    found = []
    for run in RUN.findall(fold(text)):
        found.extend([run[at : at + 2] for at in range(len(run) - 1)] or [run] if is_han(run) else [run])
    return found


def jieba_words(text: str) -> list[str]:
    """Return jieba's words of a text, with the shorter words inside long ones."""
    return [word for word in jieba.cut_for_search(fold(text)) if RUN.search(word)]


class PlainFullText:
    """SQLite's FTS5 with BM25, title before the rest: all words, or else any of them."""

    def __init__(self, path: str, cut: Callable[[str], list[str]]) -> None:
        self.connection, self._cut = sqlite3.connect(path), cut
        self.connection.execute("CREATE VIRTUAL TABLE found USING fts5(key UNINDEXED, title, rest)")

    def fill(self, rows: Iterator[Row] | Sequence[Row]) -> None:
        """Index `rows`."""
        cut = self._cut
        self.connection.executemany(
            "INSERT INTO found VALUES (?, ?, ?)",
            ((row.key, " ".join(cut(row.title)), " ".join(cut(row.rest))) for row in rows),
        )
        self.connection.commit()

    def search(self, text: str, *, counted: bool = False) -> list[str]:
        """Return the ten best; `counted` also counts all, as a page of results must."""
        terms = [f'"{term}"' for term in dict.fromkeys(self._cut(text))]
        for joined in (" AND ".join(terms), " OR ".join(terms)) if terms else ():
            statement = "SELECT key FROM found WHERE found MATCH ? ORDER BY bm25(found, 0, 3.0, 1.0), key LIMIT 10"
            keys = [key for (key,) in self.connection.execute(statement, (joined,))]
            if keys:
                if counted:
                    self.connection.execute("SELECT count(*) FROM found WHERE found MATCH ?", (joined,)).fetchone()
                return keys
        return []


def gain(grades: Sequence[int]) -> float:
    """Return the discounted cumulative gain of grades in order."""
    return math.fsum((2.0**grade - 1) / math.log2(place + 2) for place, grade in enumerate(grades))


def quality(search: Search, queries: Sequence[Judged]) -> dict[str, float]:
    """Return nDCG@10, MRR (of a grade of 2 or more) and the share of queries without any hit."""
    gains, ranks, empty = [], [], 0
    for query in queries:
        found = search(query.text)
        grades = [query.grades.get(key, 0) for key in found]
        gains.append(gain(grades) / gain(sorted(query.grades.values(), reverse=True)[:10]))
        ranks.append(next((1 / place for place, grade in enumerate(grades, 1) if grade >= RELEVANT_GRADE), 0.0))
        empty += not found
    return {
        "ndcg_at_10": report.rounded(statistics.mean(gains)),
        "mrr": report.rounded(statistics.mean(ranks)),
        "zero_rate": report.rounded(empty / len(queries)),
    }


def title_first(search: Search, rows: Sequence[Row], sample: int) -> float:
    """Return how often a resource's own title finds it, or another of that very title, in the first place."""
    chosen = random.Random(1).sample(list(rows), min(sample, len(rows)))
    titles = {row.key: fold(row.title) for row in rows}
    hits = sum(bool(found := search(row.title)) and titles[found[0]] == fold(row.title) for row in chosen)
    return report.rounded(hits / len(chosen))


def million_rows(count: int) -> Iterator[Row]:
    """Yield real titles, and then again with the name of a made-up place before them."""
    titles = real_titles()
    places = [
        f"{first}{last}"
        for first in "东西南北中安平长永泰和兴新古石金青白龙云"
        for last in ("江县", "山区", "城市", "阳县", "川县", "州市", "河区", "岭县")
    ]
    for number in range(count):
        real = titles[number % len(titles)]
        turn = number // len(titles)
        place = places[(turn * 7 + number) % len(places)] if turn else ""
        rest = " ".join(real[name] for name in ("description", "keywords", "publisher"))
        yield Row(f"01900000-0000-7000-8000-{number:012x}", place + real["title"], rest)


def fill(database: Database, pack: NormPack, count: int) -> None:
    """Write the rows of published resources; they say what the search reads, with ten items each."""
    at = datetime(2025, 1, 1, tzinfo=UTC)
    dice, themes = random.Random(2), [theme.key for theme in pack.themes]
    grades, shares = tuple(Grade), tuple(ShareType)
    templates = []
    for number in range(50):
        names = dice.sample(ITEM_NAMES.split(), 10)
        items = tuple(
            Item(name=Text(zh=name, en=""), column=f"c{place}", grade=grades[number % 4])
            for place, name in enumerate(names)
        )
        content = ResourceContent(
            title=Text(zh="", en=""), items=items, share_type=shares[number % 3], theme=themes[number % len(themes)]
        )
        templates.append(content.model_dump(mode="json"))
    with database.transaction() as connection:
        codes = [f"11440{number:013d}" for number in range(DEPARTMENTS)]
        names = [f"第{number}号部门" for number in range(DEPARTMENTS)]
        connection.execute(
            insert(department),
            [
                {
                    "code": code,
                    "name_zh": name,
                    "name_en": code,
                    "short_name_zh": name,
                    "short_name_en": code,
                    "is_authority": False,
                    "registered_at": at,
                }
                for code, name in zip(codes, names, strict=True)
            ],
        )
    batch: list[tuple[dict[str, object], dict[str, object], dict[str, object]]] = []
    for number, row in enumerate(million_rows(count)):
        batch.append(_rows_of(number, row, templates[number % 50], codes[number % DEPARTMENTS], at))
        if len(batch) == ROWS_AT_ONCE or number == count - 1:
            with database.transaction() as connection:
                for table, place in ((resource, 0), (version, 1), (listing, 2)):
                    connection.execute(insert(table), [rows[place] for rows in batch])
            batch = []
    with database.transaction() as connection:
        record_changes(connection, [EVERYTHING])


def _rows_of(
    number: int, row: Row, template: dict[str, object], code: str, start: datetime
) -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
    at = start + timedelta(seconds=number)
    content = {**template, "title": {"zh": row.title, "en": ""}, "summary": {"zh": row.rest[:300], "en": ""}}
    shared = {"state": "published", "created_at": at, "updated_at": at}
    return (
        {
            "id": row.key,
            "code": f"101001/{number:07d}",
            "department": code,
            "binding_key": row.key,
            "version": 1,
            "published_version": 1,
            "visible": True,
            **shared,
        },
        {"resource_id": row.key, "version": 1, "content": content, "published_at": at, **shared},
        {
            "resource_id": row.key,
            "department": code,
            "title": row.title,
            "share_type": str(template["share_type"]),
            "format": "3",
            "update_cycle": "irregular",
            "theme": str(template["theme"]),
            "open": False,
            "item_count": 10,
            "published_at": at,
        },
    )


def mixed_queries(queries: Sequence[Judged], count: int) -> list[str]:
    """Return what is asked while time is measured: the relevance set, titles, common words, and the list of all."""
    dice = random.Random(3)
    titles = real_titles()
    common = ["信息", "企业", "行政处罚", "统计", "学校", "统一社会信用代码", "县", "姓名", "行政许可", ""]
    asked = [query.text for query in queries] + common
    asked += [dice.choice(titles)["title"] for _ in range(max(count - len(asked), 0))]
    dice.shuffle(asked)
    return asked


def timings(
    act: Callable[[str], object], asked: Sequence[str], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return milliseconds of each call, of the wall's clock or of the process's."""
    taken = []
    for text in asked:
        started = clock()
        act(text)
        taken.append((clock() - started) * 1000)
    return taken


def spread(name: str, taken: Sequence[float]) -> dict[str, float]:
    """Return median, 95th and 99th percentile."""
    return {
        f"{name}p{round(share * 100)}_ms": report.rounded(report.percentile(taken, share))
        for share in (0.5, 0.95, 0.99)
    }


def measure(
    folder: Path, pack: NormPack, queries: Sequence[Judged], chosen: argparse.Namespace, count: int
) -> dict[str, report.Figure]:
    """Return build time, and how long searches and suggestions take, over `count` resources."""
    database = Database(f"sqlite:///{folder / 'control.sqlite'}")
    migrate(database)
    filling, _ = report.timed(lambda: fill(database, pack, count))
    report.say(f"{count} resources filled in {filling:.0f} s")
    clock = SystemClock()
    ledger = Ledger(
        database=database, clock=clock, signer=Ed25519Signer.generate(), origin="bench/log", tiles=MemoryTileStore()
    )
    discovery = Discovery(
        database=database, clock=clock, ledger=ledger, pack=pack, index=SearchIndex(folder / "search")
    )
    building, _ = report.timed(discovery.keep_up)
    size = sum(path.stat().st_size for path in (folder / "search").rglob("*") if path.is_file())
    report.say(f"built in {building:.0f} s, {size / 1e6:.0f} MB")
    asked = mixed_queries(queries, chosen.queries)

    def page(text: str) -> object:
        return discovery.search(SearchRequest(text=text, limit=PAGE))

    def grouped(text: str) -> object:
        return discovery.search(SearchRequest(text=text, grouped=True, limit=PAGE))

    def medians(act: Callable[[str], object]) -> list[float]:
        runs = [timings(act, asked) for _ in range(chosen.runs)]
        return [statistics.median(each) for each in zip(*runs, strict=True)]

    first = timings(page, asked)
    warm = medians(page)
    slowest = sorted(zip(warm, asked, strict=True), reverse=True)[:5]
    report.say("slowest: " + ", ".join(f"{text or '(all)'} {taken:.0f} ms" for taken, text in slowest))
    typed = [text[:size] for text in asked if text for size in (1, 2, 4)]
    figures: dict[str, report.Figure] = {
        "build_seconds": report.rounded(building),
        "index_mb": round(size / 1e6),
        **spread("", warm),
        **spread("first_", first),
        **spread("cpu_", timings(page, asked, time.process_time)),
        **spread("grouped_", medians(grouped)),
        **spread("grouped_cpu_", timings(grouped, asked, time.process_time)),
        **spread("suggest_", timings(discovery.suggest, typed)),
    }
    database.close()
    return figures


def measure_plain(folder: Path, queries: Sequence[Judged], chosen: argparse.Namespace, count: int) -> list[float]:
    """Return how long the plain peer takes to rank and count, over `count` resources."""
    peer = PlainFullText(str(folder / "plain.sqlite"), pairs)
    with closing(peer.connection):
        filling, _ = report.timed(lambda: peer.fill(million_rows(count)))
        report.say(f"plain full text built in {filling:.0f} s")
        asked = [text for text in mixed_queries(queries, chosen.queries) if text]
        timings(lambda text: peer.search(text, counted=True), asked[:50])
        return timings(lambda text: peer.search(text, counted=True), asked)


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--resources", type=int, default=1_000_000, help="resources of the large catalogue")
    parser.add_argument("--queries", type=int, default=500, help="queries while time is measured")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.resources, chosen.queries = 1, 3_000, 160
    pack, rows, queries = load_pack(), relevant_rows(), judged_queries()
    ours = our_search(pack, rows)
    final = [query for query in queries if query.final]
    figures: dict[str, report.Figure] = {**quality(ours, final)}
    figures["tuning_ndcg_at_10"] = quality(ours, [query for query in queries if not query.final])["ndcg_at_10"]
    figures["title_first"] = title_first(ours, rows, 100 if chosen.quick else TITLE_QUERIES)
    for name, cut in (("bigram", pairs), ("jieba", jieba_words)):
        peer = PlainFullText(":memory:", cut)
        peer.fill(rows)
        against = quality(peer.search, final)
        figures |= {f"{name}_ndcg_at_10": against["ndcg_at_10"], f"{name}_zero_rate": against["zero_rate"]}
        figures[f"ratio_to_{name}"] = report.rounded(float(figures["ndcg_at_10"] or 0) / against["ndcg_at_10"])
    report.say(json.dumps(figures))
    with report.folder() as folder:
        (folder / "small").mkdir()
        small = measure(folder / "small", pack, queries, chosen, min(5_000, chosen.resources))
        figures |= {f"small_{name}": value for name, value in small.items()}
    with report.folder() as folder:
        figures |= measure(folder, pack, queries, chosen, chosen.resources)
        figures["peak_rss_mb"] = report.peak_rss_mb()
    with report.folder() as folder:
        plain = measure_plain(folder, queries, chosen, chosen.resources)
        figures |= spread("bigram_", plain)
        figures["p95_ratio_to_bigram"] = report.rounded(float(figures["p95_ms"] or 0) / report.percentile(plain, 0.95))
    sizes = {
        "resources": chosen.resources,
        "relevance_resources": len(rows),
        "queries": len(queries),
        "final": len(final),
    }
    report.finish("search", sizes=sizes, figures=figures, runs=chosen.runs)


if __name__ == "__main__":
    main()
