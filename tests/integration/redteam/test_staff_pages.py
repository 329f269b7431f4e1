"""Registers of staff over the web: a head keeps them, others see numbers and no name."""

import io

import pytest
import xlsxwriter
from typer.testing import CliRunner

from datong.cli import staff
from datong.kernel import Refused
from tests.integration.redteam.world import RedTeamWorld


def test_staff_over_the_web(world: RedTeamWorld) -> None:
    officer, clerk, stranger = world["officer"], world["clerk"], world["stranger"]
    form = {"name": "张三丰", "role": "officer", "assigned_on": "2026-01-05"}
    assert clerk.post("/staff", data=form).status_code == 403
    assert officer.post("/staff", data={**form, "assigned_on": "x"}).status_code == 422
    assert officer.post("/staff", data=form).status_code == 303
    (member,) = officer.get("/api/v1/staff").json()
    place = f"/staff/{member['id']}"
    training = {"course": "数据安全", "hours": "16", "on": "2026-02-03", "certificate": "证-7", "expires_on": ""}
    assert officer.post(f"{place}/trainings", data=training).status_code == 303
    assert officer.post(f"{place}/trainings", data=training).status_code == 409
    assert stranger.post(f"/api/v1{place}/departure", json={"on": "2026-03-01"}).status_code == 403
    body = io.BytesIO()
    with xlsxwriter.Workbook(body) as book:
        sheet = book.add_worksheet("人员")
        for number, row in enumerate((("姓名", "岗位", "上岗日期"), ("李四光", "业务经办人", "前天"))):
            sheet.write_row(number, 0, row)
    faulty = officer.post("/staff/import", files={"file": ("人员.xlsx", body.getvalue())})
    assert "人员!C2" in faulty.text
    assert officer.post("/api/v1/staff/import", content=body.getvalue()).status_code == 422
    assert "张三丰" in officer.get("/staff").text
    assert "证-7" in officer.get("/staff", headers={"Accept-Language": "en"}).text
    for other in (clerk, stranger, world["auditor"]):
        page = other.get("/staff")
        assert page.status_code == 200
        assert "张三丰" not in page.text
        (numbers,) = other.get("/api/v1/staff/numbers").json()
        assert (numbers["assigned"], numbers["certified"], numbers["hours"]) == (1, 1, 16)
    assert clerk.get("/api/v1/staff").status_code == 403
    assert stranger.get("/api/v1/staff").json() == []
    table = world.services.indicators.compute().departments
    (line,) = [one for one in table if one.department == world.agreement.consumer]
    value = next(one for one in line.values if one.key == "staff_trained_rate")
    assert (value.counted, value.base) == (1, 1)
    assert officer.post(f"{place}/trainings/1/strike").status_code == 303
    assert officer.post(f"{place}/departure", data={"on": "2026-03-01"}).status_code == 303
    from_the_command_line(world, body.getvalue())
    assert world["auditor"].get(f"/evidence?subject={world.agreement.consumer}").status_code == 200
    world.no_leak()


def from_the_command_line(world: RedTeamWorld, faulty: bytes) -> None:
    """Assign, train, strike, take in, leave and list by `datong staff`."""
    token = world["officer"].headers["Authorization"].removeprefix("Bearer ")
    hub = ["--hub", world.hub.url, "--token", token]

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(staff.app, [*arguments, *hub], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    person = run("assign", "王五", "clerk", "--on", "2026-01-06").split()[-1]
    held = ["--on", "2026-02-04", "--certificate", "证-8", "--expires", "2027-02-04"]
    assert "证-8 → 2027-02-04" in run("train", person, "--course", "数据安全", "--hours", "8", *held)
    assert "1 / 1" in run("numbers")
    assert "证-8" not in run("strike", person, "1")
    path = world.clock_file.with_name("staff.xlsx")
    path.write_bytes(faulty)
    with pytest.raises(Refused, match="人员!C2"):
        run("import", str(path))
    run("leave", person, "--on", "2026-03-02")
    assert "王五" in run("members")
    assert run("members", "--json").startswith("[")
