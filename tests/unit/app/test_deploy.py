"""What lies in deploy/ is well-formed by the judgement of those who read it, and names only what exists."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from kubernetes_validate.utils import validate

from datong import __version__
from datong.app.main import command_line
from datong.kernel import Settings
from datong.kernel.settings import PREFIX
from datong.web.health import router

DEPLOY = Path(__file__).parents[3] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
INSTALLED = "/opt/datong/bin/datong"
EXPOSURE_MAX = "13"
"""Tenths of systemd's scale from 0 (nothing to be had) to 10 (root without limits)."""
KUBERNETES = ("1.30", "1.37")
IMAGE = f"datong:{__version__}"
Json = dict[str, Any]


def manifests() -> list[Json]:
    return [
        part for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for part in yaml.safe_load_all(path.read_text())
    ]


def compose() -> Json:
    read: Json = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text())
    return read


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile, in order, each with what stands behind it."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "container" / "Containerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def pods() -> Iterator[tuple[str, Json]]:
    """Return the pods' specifications by the names of what makes them."""
    for manifest in manifests():
        if "template" in manifest.get("spec", {}):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]


def commands() -> Iterator[list[str]]:
    """Return every command line of the platform's that something in deploy/ runs."""
    for unit in UNITS:
        for line in re.findall(r"^Exec\w+=(.*)$", unit.read_text(), re.MULTILINE):
            program, *arguments = shlex.split(line)
            assert program == INSTALLED
            yield arguments
    for service in compose()["services"].values():
        if service["image"] == IMAGE:
            yield service["command"]
    for _, pod in pods():
        yield from (container["args"] for container in pod["containers"])
    yield json.loads(dict(instructions())["CMD"])


def settings() -> Iterator[tuple[str, str]]:
    """Return every setting that something in deploy/ sets, with its value; empty where only a cluster knows it."""
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file():
            yield from re.findall(rf"\b({PREFIX}[A-Z_]+)\s*[=:]\s*\"?([^\s\"\\]*)", path.read_text())
            yield from ((name, "") for name in re.findall(rf"\b{PREFIX}[A-Z_]+\b", path.read_text()))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_to_say_and_little_to_attack(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@", "@police")
    copy.write_text(unit.read_text().replace(INSTALLED, str(Path(sys.executable).with_name("datong"))))
    said = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=True)
    assert said.stdout + said.stderr == ""
    security = ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(copy)]
    subprocess.run(security, capture_output=True, check=True)


def test_every_command_exists_with_its_options() -> None:
    run = {tuple(arguments) for arguments in commands()}
    assert {("hub", "serve"), ("hub", "work"), ("hub", "init")} <= run
    for arguments in run:
        command: Any = typer.main.get_command(command_line(arguments[0]))
        rest = list(arguments)
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= known


def test_every_setting_exists_and_has_a_value_that_it_takes() -> None:
    named = list(settings())
    assert {name.removeprefix(PREFIX).lower() for name, _ in named} <= set(Settings.model_fields)
    for name, value in named:
        if value and not re.search(r"[%$…]", value):
            Settings.from_environment({name: value})


def test_what_is_asked_whether_a_hub_is_well_exists() -> None:
    paths = {getattr(route, "path", "") for route in router.routes}
    asked = set(re.findall(r"(?:path: |8420)(/\w+z)\b", "".join(path.read_text() for path in DEPLOY.rglob("*.yaml"))))
    assert asked == {"/healthz", "/readyz"} <= paths


def test_the_image_is_made_of_a_release_and_runs_as_the_manifests_say() -> None:
    told = instructions()
    names = [name for name, _ in told]
    assert names[:2] == ["ARG", "FROM"]
    assert set(names) <= {
        "ARG",
        "FROM",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "WORKDIR",
        "VOLUME",
        "EXPOSE",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    }
    last = dict(told)
    runs = " ".join(rest for name, rest in told if name == "RUN")
    for needed in ("sha256sum --check", "--require-hashes --requirement /release/requirements.txt", "datong-*.whl"):
        assert needed in runs
    environment = dict(re.findall(r"(\w+)=(\S+)", last["ENV"]))
    assert json.loads(last["ENTRYPOINT"]) == ["datong"]
    assert environment["DATONG_HOME"] == last["VOLUME"] == last["WORKDIR"]
    assert last["EXPOSE"] == str(Settings().port)
    for name, pod in pods():
        assert str(pod["securityContext"]["runAsUser"]) == last["USER"], name
        for container in pod["containers"]:
            assert container["image"] == IMAGE
            assert environment["DATONG_HOME"] in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_compose_names_only_what_it_declares() -> None:
    read = compose()
    hardened = read["x-hardened"]
    assert hardened["read_only"] is True
    assert hardened["cap_drop"] == ["ALL"]
    for name, service in read["services"].items():
        assert set(service.get("depends_on", {})) <= set(read["services"])
        assert set(service["networks"]) <= set(read["networks"])
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(read["volumes"])
        assert set(service.get("secrets", [])) <= set(read["secrets"])
        assert name == "database" or service["image"] == IMAGE
        for condition in service.get("depends_on", {}).values():
            assert condition == {"condition": "service_healthy"}
    assert all("healthcheck" in read["services"][name] for name in ("database", "hub"))
    assert read["networks"]["inside"]["internal"] is True
    assert "inside" not in read["services"]["node"]["networks"], "a node never reaches the hub's database"


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_takes_every_manifest(version: str) -> None:
    for manifest in manifests():
        validate(manifest, version, strict=True)


def test_manifests_find_each_other() -> None:
    every = manifests()
    names = {
        kind: {one["metadata"]["name"] for one in every if one["kind"] == kind}
        for kind in {one["kind"] for one in every}
    }
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in every if "template" in one.get("spec", {})]
    for one in every:
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] in names["Namespace"]
        selector = one.get("spec", {}).get("selector", {})
        if wanted := selector.get("matchLabels", selector):
            assert any(wanted.items() <= have.items() for have in labels), one["metadata"]["name"]
        if "template" in one.get("spec", {}) and "matchLabels" in selector:
            assert selector["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
    for _, pod in pods():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {source["configMapRef"]["name"] for source in container["envFrom"][:1]} <= names["ConfigMap"]
        assert volumes["home"]["persistentVolumeClaim"]["claimName"] in names["PersistentVolumeClaim"]
    backends = {found for one in every if one["kind"] == "Ingress" for found in services_of(one)}
    assert backends <= names["Service"]


def services_of(ingress: Json) -> Iterable[str]:
    return (path["backend"]["service"]["name"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"])
