"""Registers of staff over the web: a head keeps them, others see numbers and no name."""

import io

import xlsxwriter

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
    assert world["auditor"].get(f"/evidence?subject={world.agreement.consumer}").status_code == 200
    world.no_leak()
