"""The machine interfaces of the open catalogue under their real clients: right at size, and how fast.

A hub is filled with open and other resources. rdflib reads the whole catalogue page by page in three forms, which must
say the same and exactly what is open; pyshacl checks all of it against the DCAT-AP 3.0.1 shapes at once; ckanapi dumps
it by GET and by POST and searches it, and must get every open resource, equal to the catalogue's own. The benchmark
fails where one of these does not hold.
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import httpx
import pyshacl
from rdflib import Graph
from rdflib.namespace import DCAT, RDF
from tests.catalogue_filling import fill
from tests.integration.open.dcat_client import FORMS, read_catalogue
from tests.integration.open.serving import OpenHub, served

from benchmarks import report
from datong.app.schema import migrate
from datong.catalogue import ResourceContent
from datong.kernel import Database

BIN = Path(sys.executable).parent
SHAPES = Path(__file__).parents[1] / "tests" / "data" / "dcat-ap-3.0.1" / "shapes.ttl"
SEARCHES = ("人口", "企业", "学校", "行政处罚", "预算")


def ckanapi(hub: OpenHub, output: Path, *arguments: str) -> dict[str, str]:
    """Run the real client and return the content that each package declares, by id."""
    command = (str(BIN / "ckanapi"), *arguments, "-r", hub.url, "-O", str(output))
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, env={"PATH": path, "LANG": "C.UTF-8"}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ckanapi failed: {done.stderr[-2000:]}")
    found = {}
    with output.open(encoding="utf-8") as lines:
        for package in map(json.loads, lines):
            found[package["id"]] = next(entry["value"] for entry in package["extras"] if entry["key"] == "datong")
    return found


def check(name: str, right: bool) -> None:
    """End the benchmark when something is not as it must be."""
    report.say(f"{name}: {'right' if right else 'WRONG'}")
    if not right:
        raise SystemExit(f"{name} is wrong")


def read_forms(hub: OpenHub, ids: set[str]) -> dict[str, float]:
    """Read the catalogue in each form and compare; return seconds by form, those of pyshacl, and the statements."""
    graphs: dict[str, Graph] = {}
    figures: dict[str, float] = {}
    with hub.visitor() as visitor:
        for suffix in FORMS:
            seconds, (graph, pages) = report.timed(partial(read_catalogue, visitor, suffix))
            graphs[suffix] = graph
            figures[f"read_and_parse_{suffix[1:]}_seconds"] = report.rounded(seconds)
            report.say(f"{suffix}: {pages} pages, {len(graph)} statements, {seconds:.1f} s")
        serving = [report.timed(partial(visitor.get, f"/catalog.ttl?page={number}")) for number in range(1, pages + 1)]
    times = [seconds * 1000 for seconds, _ in serving]
    figures["page_ms"], figures["page_p95_ms"] = report.median(times), report.rounded(report.percentile(times, 0.95))
    statements = [set(graph) for graph in graphs.values()]
    check("three forms say the same", statements[0] == statements[1] == statements[2])
    listed = {
        str(found).removeprefix(f"{hub.url}/open/").removesuffix("#dataset") for found in _datasets(graphs[".ttl"])
    }
    check("every open resource and no other is listed", listed == ids)
    seconds, (conforms, _, text) = report.timed(
        lambda: pyshacl.validate(graphs[".ttl"], shacl_graph=str(SHAPES), inference="none")
    )
    report.say(text[:500])
    check("DCAT-AP 3.0.1 shapes", conforms)
    return figures | {"shacl_seconds": report.rounded(seconds), "statements": len(graphs[".ttl"])}


def _datasets(graph: Graph) -> set[str]:
    return {str(found) for found in graph.subjects(RDF.type, DCAT.Dataset)}


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--open", type=int, default=5000, help="open resources, at least")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.open = 1, 120
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with report.folder() as folder:
        database = Database(f"sqlite:///{folder / 'control.sqlite'}")
        migrate(database)
        with served(database, folder / "hub") as hub:
            measure(hub, database, folder, chosen)
        database.close()


def measure(hub: OpenHub, database: Database, folder: Path, chosen: argparse.Namespace) -> None:
    """Fill, read by every client, and report."""
    total = chosen.open * 2
    filling, filled = report.timed(lambda: fill(database, hub.services.pack, total, open_percent=55))
    ids: set[str] = set(filled.open_ids)
    report.say(f"{len(ids)} open of {total} resources, filled in {filling:.1f} s")
    figures = read_forms(hub, ids)
    expected = {key: hub.services.open_catalogue.get(key).content for key in filled.open_ids}
    for name, arguments in (
        ("dump_get", ("dump", "datasets", "--all", "--get-request", "-q")),
        ("dump_post", ("dump", "datasets", "--all", "-q")),
        ("search", ("search", "datasets")),
    ):
        seconds, found = report.timed(partial(ckanapi, hub, folder / name, *arguments))
        check(name, {key: ResourceContent.model_validate_json(text) for key, text in found.items()} == expected)
        figures[f"ckanapi_{name}_seconds"] = report.rounded(seconds)
    times = []
    with hub.visitor() as visitor:
        for _ in range(chosen.runs):
            for words in SEARCHES:
                seconds, answer = report.timed(partial(search, visitor, words))
                times.append(seconds * 1000)
                check(f"search {words}", answer.status_code == 200)
    figures["package_search_ms"] = report.median(times)
    report.finish(
        "interfaces",
        runs=chosen.runs,
        sizes={"resources": total, "open": len(ids)},
        figures={**figures, "filling_seconds": report.rounded(filling), "peak_rss_mb": report.peak_rss_mb()},
    )


def search(visitor: httpx.Client, words: str) -> httpx.Response:
    """Search as a portal does: a page of results and the facets."""
    fields = '["organization","groups","tags","res_format"]'
    return visitor.get("/api/3/action/package_search", params={"q": words, "rows": 20, "facet.field": fields})


if __name__ == "__main__":
    main()
