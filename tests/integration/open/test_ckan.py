"""The CKAN Action API, asked by the real client."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ckanapi.errors import CKANAPIError
from ckanapi.remoteckan import RemoteCKAN

from datong.catalogue import OpenResource, ResourceContent
from tests.integration.open.conftest import FilledHub

BIN = Path(sys.executable).parent


def resources_of(filled_hub: FilledHub) -> dict[str, OpenResource]:
    """Return what is open by id, from the catalogue itself."""
    found = filled_hub.hub.services.open_catalogue
    return {resource_id: found.get(resource_id) for resource_id in filled_hub.filled.open_ids}


@pytest.fixture(params=[True, False], ids=["get", "post"])
def client(filled_hub: FilledHub, request: pytest.FixtureRequest) -> RemoteCKAN:
    """The real client, asking by GET or by POST."""
    return RemoteCKAN(filled_hub.hub.url, get_only=request.param, user_agent="datong-test")


def test_search_and_show(filled_hub: FilledHub, client: RemoteCKAN) -> None:
    expected = resources_of(filled_hub)
    seen: list[str] = []
    while True:
        page = client.action.package_search(start=len(seen), rows=100, sort="id asc")
        assert page["count"] == len(expected)
        if not page["results"]:
            break
        seen += [package["id"] for package in page["results"]]
    assert seen == sorted(expected)
    assert client.action.package_list() == seen
    for resource_id in seen[:20]:
        package = client.action.package_show(id=resource_id)
        resource = expected[resource_id]
        assert package["title"] == resource.content.title.zh
        extras = {entry["key"]: entry["value"] for entry in package["extras"]}
        assert ResourceContent.model_validate_json(extras["datong"]) == resource.content
        assert package["resources"]
        for entry in package["resources"]:
            assert entry["created"]
            assert entry["last_modified"]
            assert client.action.resource_show(id=entry["id"]) == entry
        organisation = client.action.organization_show(id=package["organization"]["name"])
        assert organisation["id"] == package["owner_org"]


def test_filters_and_facets_count_what_is_open(filled_hub: FilledHub, client: RemoteCKAN) -> None:
    expected = resources_of(filled_hub).values()
    found = client.action.package_search(
        rows=0, **{"facet.limit": -1, "facet.field": '["organization","groups","tags","res_format"]'}
    )
    facets = {
        name: {item["name"]: item["count"] for item in facet["items"]} for name, facet in found["search_facets"].items()
    }
    assert sum(facets["organization"].values()) == len(expected)
    some = max(facets["organization"], key=lambda name: (facets["organization"][name], name))
    assert facets["organization"][some] == sum(resource.department.lower() == some for resource in expected)
    assert client.action.package_search(fq=f"organization:{some}", rows=0)["count"] == facets["organization"][some]
    csv = sum(any(entry.media_type == "text/csv" for entry in resource.content.distributions) for resource in expected)
    assert facets["res_format"]["CSV"] == csv == client.action.package_search(fq="res_format:csv", rows=0)["count"]
    others = client.action.package_search(fq=f"-organization:{some} +res_format:CSV", rows=0)["count"]
    both = client.action.package_search(fq=f"organization:{some} AND res_format:CSV", rows=0)["count"]
    assert others + both == csv
    either = client.action.package_search(fq=f"organization:{some} OR res_format:CSV", rows=0)["count"]
    assert either == facets["organization"][some] + csv - both
    tag = next(iter(facets["tags"]))
    assert client.action.package_search(fq=f'tags:"{tag}"', rows=0)["count"] == facets["tags"][tag]
    assert tag in client.action.tag_list()
    middle = sorted(resource.changed_at for resource in expected)[len(expected) // 2]
    since = middle.strftime("%Y-%m-%dT%H:%M:%SZ")
    newer = client.action.package_search(fq=f"metadata_modified:[{since} TO *]", rows=0)["count"]
    assert newer == sum(resource.changed_at >= middle for resource in expected)
    assert client.action.package_search(fq="metadata_modified:[NOW-1DAY TO NOW]", rows=0)["count"] == 0


def test_words_find_titles(filled_hub: FilledHub, client: RemoteCKAN) -> None:
    for resource in list(resources_of(filled_hub).values())[:15]:
        found = client.action.package_search(q=f'"{resource.content.title.zh}"', rows=5)
        assert resource.content.title.zh in {package["title"] for package in found["results"]}


def test_lists(filled_hub: FilledHub, client: RemoteCKAN) -> None:
    names = client.action.organization_list()
    described = client.action.organization_list(all_fields=True)
    assert [entry["name"] for entry in described] == names
    assert sum(entry["package_count"] for entry in described) == len(filled_hub.filled.open_ids)
    groups = client.action.group_list(all_fields=True)
    for group in groups:
        shown = client.action.group_show(id=group["id"], include_datasets=True)
        assert len(shown["packages"]) == group["package_count"]
    assert {licence["id"] for licence in client.action.license_list()} == {
        licence.key for licence in filled_hub.hub.services.pack.licences
    }
    assert client.action.site_read() is True
    assert client.action.status_show()["ckan_version"].startswith("2.")
    assert "Search" in client.action.help_show(name="package_search")
    assert len(client.action.current_package_list_with_resources(limit=3)) == 3


def test_errors_are_those_of_ckan(filled_hub: FilledHub, client: RemoteCKAN) -> None:
    refusals: list[tuple[str, str, dict[str, str]]] = [
        ("NotFound", "package_show", {"id": filled_hub.filled.inside_ids[0]}),
        ("NotFound", "package_show", {"id": "nothing"}),
        ("NotFound", "organization_show", {"id": "nobody"}),
        ("NotFound", "resource_show", {"id": "none"}),
        ("SearchQueryError", "package_search", {"fq": "(tags:a"}),
        ("SearchQueryError", "package_search", {"sort": "secret asc"}),
        ("ValidationError", "package_show", {}),
        ("ValidationError", "package_search", {"rows": "many"}),
    ]
    for kind, action, parameters in refusals:
        with pytest.raises(CKANAPIError) as raised:
            client.call_action(action, parameters)
        assert type(raised.value).__name__ == kind


def test_bodies_that_are_no_parameters(filled_hub: FilledHub) -> None:
    with filled_hub.hub.visitor() as visitor:
        for body in (b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'"text"'):
            answer = visitor.post(
                "/api/3/action/package_search", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 409, answer.text
            assert answer.json()["error"]["__type"] == "Validation Error"
        form = visitor.post("/api/action/package_search", data={"q": "*:*", "rows": "1"})
        assert form.json()["result"]["count"] == len(filled_hub.filled.open_ids)
        assert visitor.get("/api/3/action/package_delete?id=x").status_code == 404


@pytest.mark.parametrize("by_get", [True, False], ids=["get", "post"])
def test_a_dump_is_the_catalogue(filled_hub: FilledHub, tmp_path: Path, by_get: bool) -> None:
    output = tmp_path / "dump.jsonl"
    command = [str(BIN / "ckanapi"), "dump", "datasets", "--all", "-r", filled_hub.hub.url, "-O", str(output), "-q"]
    done = subprocess.run(
        command + (["--get-request"] if by_get else []),
        env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with output.open(encoding="utf-8") as lines:
        dumped = {package["id"]: package for package in map(json.loads, lines)}
    expected = resources_of(filled_hub)
    assert dumped.keys() == expected.keys()
    for resource_id, package in dumped.items():
        extras = {entry["key"]: entry["value"] for entry in package["extras"]}
        assert ResourceContent.model_validate_json(extras["datong"]) == expected[resource_id].content
