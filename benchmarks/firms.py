"""Accuracy of linking firms, on generated firms in five registers whose truth is known.

What it is about: names are written with and without the city, in full and short legal form, with wide brackets and
blanks, with a character misheard, or are the former name; old registration numbers stand where the unified code should;
codes are missing, mistyped, or another firm's; branch offices bear the parent's name, and its representative; shops of
one name stand in several places; representatives and seats change. A branch office is an entity of its own: it has
a code of its own (GB 32100). Companies' names are their own, as 《企业名称登记管理规定》 wants it; shops' are not.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import report
from benchmarks.population import ALIKE, DISTRICTS, GIVEN, ROADS, SURNAMES
from datong.kernel import BatchId, DepartmentCode, ResourceId, Text
from datong.library import LandedBatch, LandedSource, LandingMode, LinkScore, evaluate_links, shipped_definitions
from datong.library.conform import conform_source, take_part
from datong.library.engine import Engine
from datong.library.link import LINKS, link_records
from datong.norms import load_pack
from datong.norms.identifiers import (
    organisation_check_character,
    registration_check_character,
    uscc_check_character,
)

Row = tuple[object, ...]
QUICK_FIRMS = 300
CITY = "佛山市"
_TRADES_TEXT = "科技 贸易 建材 电子 物流 餐饮管理 装饰工程 机械设备 信息咨询 食品 五金制品 家具"
TRADES = _TRADES_TEXT.split()
_SHOPS_TEXT = "便利店 餐馆 五金店 理发店 水果店 药店"
SHOPS = _SHOPS_TEXT.split()
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "enterprises": {
        "no": "record_id", "name": "organisation_name", "code": "uscc", "old": "registration_number",
        "boss": "legal_representative", "seat": "registered_address", "phone": "organisation_phone",
        "state": "organisation_status", "at": "updated_at",
    },
    "tax": {
        "no": "record_id", "name": "organisation_name", "code": "uscc", "boss": "legal_representative",
        "seat": "registered_address", "phone": "organisation_phone", "due": "tax_due", "at": "updated_at",
    },
    "fees": {
        "no": "record_id", "name": "organisation_name", "code": "uscc", "boss": "legal_representative",
        "item": "fee_item", "amount": "fee_amount", "at": "updated_at",
    },
    "permits": {
        "no": "record_id", "name": "organisation_name", "code": "uscc", "old": "registration_number",
        "seat": "registered_address", "permit": "permit_number", "at": "updated_at",
    },
    "penalties": {
        "no": "record_id", "name": "organisation_name", "code": "uscc", "boss": "legal_representative",
        "decision": "penalty_decision_number", "fine": "fine_amount", "at": "updated_at",
    },
}  # fmt: skip
SHARES = {"enterprises": 1.0, "tax": 0.8, "fees": 0.6, "permits": 0.4, "penalties": 0.25}
MISSING = {"enterprises": 0.01, "tax": 0.08, "fees": 0.35, "permits": 0.4, "penalties": 0.3}
"""How often a register lacks the code."""


@dataclass(frozen=True)
class Firm:
    """Who a firm truly is, and was."""

    number: int
    name: str
    former: str
    code: str
    old: str
    boss: str
    later_boss: str
    seat: str
    later_seat: str
    phone: str


class Town:
    """A town of firms: chains with branches, shops of one name, firms that changed their name."""

    def __init__(self, firms: int, seed: int) -> None:
        self._dice = random.Random(seed)
        self.firms: list[Firm] = []
        self._taken: set[str] = set()
        while len(self.firms) < firms:
            self._open()

    def _person(self) -> str:
        given = "".join(self._dice.choice(GIVEN) for _ in range(self._dice.choice((1, 2, 2, 2))))
        return self._dice.choice(SURNAMES[:40]) + given

    def _seat(self) -> str:
        dice = self._dice
        return (
            f"广东省{CITY}{dice.choice(DISTRICTS)}{dice.choice(ROADS)}路{dice.randint(1, 400)}号{dice.randint(1, 30)}室"
        )

    def _open(self) -> None:
        dice, seat = self._dice, self._seat()
        if dice.random() < 0.35:
            called = dice.choice("老小阿") + dice.choice(SURNAMES[:40]) if dice.random() < 0.5 else self._brand(2)
            name, former = f"{CITY}{seat[6:9]}{called}{dice.choice(SHOPS)}", ""
        else:
            name = self._company()
            former = self._company() if dice.random() < 0.05 else ""
        firm = self._add(name, former, self._person(), seat)
        if name.endswith("公司") and dice.random() < 0.1:
            for district in dice.sample(DISTRICTS, dice.randint(1, 3)):
                boss = firm.boss if dice.random() < 0.3 else self._person()
                self._add(f"{name}{district[:-1]}分公司", "", boss, self._seat())

    def _brand(self, size: int) -> str:
        return "".join(self._dice.choice(GIVEN) for _ in range(size))

    def _company(self) -> str:
        """Return a name that no other company has or had: the registration authority sees to that."""
        while True:
            name = f"{CITY}{self._brand(self._dice.choice((2, 2, 3)))}{self._dice.choice(TRADES)}有限公司"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def _add(self, name: str, former: str, boss: str, seat: str) -> Firm:
        dice, number = self._dice, len(self.firms)
        organisation = f"MA{number:06d}"
        body = f"91440600{organisation}{organisation_check_character(organisation)}"
        old = f"4406{number:010d}"
        firm = Firm(
            number=number,
            name=name,
            former=former,
            code=body + uscc_check_character(body),
            old=old + registration_check_character(old),
            boss=boss,
            later_boss=self._person() if dice.random() < 0.1 else boss,
            seat=seat,
            later_seat=self._seat() if dice.random() < 0.1 else seat,
            phone=f"0757{dice.randint(20000000, 89999999)}",
        )
        self.firms.append(firm)
        return firm

    def records(self, register: str) -> list[tuple[int, Row]]:
        """Return the rows of a register as its clerks wrote them, each with its true firm."""
        dice, rows = self._dice, list[tuple[int, Row]]()
        for firm in self.firms:
            for _ in range(2 if register == "fees" and dice.random() < 0.3 else 1):
                if dice.random() < SHARES[register]:
                    rows.append((firm.number, self._record(firm, register, len(rows))))
        return rows

    def _record(self, firm: Firm, register: str, place: int) -> Row:
        dice, exact = self._dice, register == "enterprises"
        late = exact or dice.random() < 0.5
        code: str | None = firm.code
        if dice.random() < MISSING[register]:
            code = None
        elif not exact and dice.random() < 0.02:
            at = dice.randint(9, 16)
            code = firm.code[:at] + dice.choice("0123456789") + firm.code[at + 1 :]
        elif not exact and dice.random() < 0.003:
            code = dice.choice(self.firms).code
        values: dict[str, object] = {
            "no": f"{register[0].upper()}{place:07d}",
            "name": firm.name if exact else self._written(firm),
            "code": code,
            "old": firm.old if dice.random() < (0.5 if exact else 0.6) else None,
            "boss": self._heard(firm.later_boss if late else firm.boss) if dice.random() < 0.9 else None,
            "seat": self._placed(firm.later_seat if late else firm.seat) if dice.random() < 0.9 else None,
            "phone": firm.phone if dice.random() < 0.7 else None,
            "state": "存续", "due": "100", "item": "水资源费", "amount": "80", "fine": "500",
            "permit": f"XK{register[0]}{place:07d}", "decision": f"示罚〔2025〕{place}号",
            "at": f"2025-0{dice.randint(1, 9)}-01 08:00:00",
        }  # fmt: skip
        return tuple(values[column] for column in COLUMNS[register])

    def _written(self, firm: Firm) -> str:
        dice = self._dice
        name = firm.former if firm.former and dice.random() < 0.3 else firm.name
        if dice.random() < 0.15:
            name = name.removeprefix(CITY) if dice.random() < 0.6 else f"广东省{name}"
        if dice.random() < 0.15:
            name = name.replace("有限公司", "有限责任公司")
        elif dice.random() < 0.05:
            name = name.replace("有限公司", "公司")
        if dice.random() < 0.1:
            name = name.replace(CITY, f"（{CITY[:-1]}）") if dice.random() < 0.3 else f"{name[:4]} {name[4:]}"
        return self._heard(name) if dice.random() < 0.03 else name

    def _heard(self, text: str) -> str:
        """Return the text, one time in thirty with a character of the same sound."""
        if self._dice.random() >= 0.03:
            return text
        pairs = {pair[0]: pair[1] for pair in ALIKE.split()}
        places = [place for place, character in enumerate(text) if character in pairs]
        if not places:
            return text
        place = self._dice.choice(places)
        return text[:place] + pairs[text[place]] + text[place + 1 :]

    def _placed(self, seat: str) -> str:
        return seat.removeprefix(f"广东省{CITY}") if self._dice.random() < 0.2 else seat


def landed_firms(folder: Path, *, firms: int, seed: int) -> tuple[tuple[LandedSource, ...], dict[tuple[str, str], int]]:
    """Land the registers below `folder`; return them, and the true firm of every record."""
    folder.mkdir(parents=True, exist_ok=True)
    town, truth, sources = Town(firms, seed), dict[tuple[str, str], int](), []
    for number, (register, columns) in enumerate(COLUMNS.items()):
        rows = town.records(register)
        truth |= {(register, str(row[0])): firm for firm, row in rows}
        sources.append(_landed(folder, number, register, columns, [row for _, row in rows]))
    return tuple(sources), truth


def _landed(folder: Path, number: int, register: str, columns: Mapping[str, str], rows: Sequence[Row]) -> LandedSource:
    table = pa.table({name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(columns)})
    path = folder / f"{register}.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return LandedSource(
        resource_id=ResourceId(register),
        department=DepartmentCode(f"1144060000000000{number:02d}"),
        title=Text(zh=register, en=register),
        columns=columns,
        key_columns=("no",),
        batches=(LandedBatch(batch_id=BatchId(f"{register}-1"), sequence=1, path=path, mode=LandingMode.SNAPSHOT),),
    )


def linked(folder: Path, sources: tuple[LandedSource, ...]) -> dict[tuple[str, str], str]:
    """Return the entity of every record, by the shipped definition of firms."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = load_pack(None)
    definition = next(known for known in shipped_definitions() if known.name == "legal_entity")
    taking = take_part(definition, sources, pack)
    with Engine(threads=2, memory="1500MB").open(folder / "spill") as work:
        for source in taking:
            conform_source(work, source, pack, folder)
        work.create("previous_ids", "SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS entity_id LIMIT 0")
        link_records(work, definition, taking, folder, (), (), folder)
    names = {source.number: source.source.resource_id for source in taking}
    links = pq.read_table(folder / LINKS).to_pylist()
    return {(names[row["source"]], row["row_key"]): row["entity_id"] for row in links}


def without_code(sources: tuple[LandedSource, ...]) -> set[tuple[str, str]]:
    """Return the records that bear no code: those that take more than looking at it."""
    found: set[tuple[str, str]] = set()
    for source in sources:
        with pa.OSFile(str(source.batches[0].path), "rb") as file, pa.ipc.open_stream(file) as reader:
            table = reader.read_all().select(["no", "code"]).to_pylist()
        found |= {(source.resource_id, str(row["no"])) for row in table if row["code"] is None}
    return found


def placed(
    links: Mapping[tuple[str, str], str], truth: Mapping[tuple[str, str], int], records: set[tuple[str, str]]
) -> tuple[float, float]:
    """Return, of `records`, the share that joined only its own firm's records, and that joined them at all.

    A record is rightly joined if most others of its entity are of its firm; it is found if any other is.
    """
    entities: dict[str, Counter[int]] = {}
    firms = Counter(truth.values())
    for record, firm in truth.items():
        entities.setdefault(links[record], Counter())[firm] += 1
    joined = right = wanted = found = 0
    for record in records:
        others = Counter(entities[links[record]])
        others[truth[record]] -= 1
        if others.total():
            joined += 1
            right += others[truth[record]] * 2 > others.total()
        if firms[truth[record]] > 1:
            wanted += 1
            found += others[truth[record]] > 0
    return (right / joined if joined else 1.0), (found / wanted if wanted else 1.0)


def main() -> None:
    """Measure and print."""
    parser = report.options(__doc__)
    parser.add_argument("--firms", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    if asked.quick:
        asked.firms = QUICK_FIRMS
    with report.folder() as folder:
        sources, truth = landed_firms(folder / "landing", firms=asked.firms, seed=asked.seed)
        seconds, links = report.timed(lambda: linked(folder / "links", sources))
        score: LinkScore = evaluate_links(links, truth)
        precise, found = placed(links, truth, without_code(sources))
    report.say(
        f"{score.records} records of {asked.firms} firms: F1 {score.f1:.4f}, mixed entities {score.false_merges}"
    )
    report.finish(
        "firms",
        sizes={"firms": asked.firms, "records": score.records},
        figures={
            "seconds": report.rounded(seconds),
            "f1": round(score.f1, 4),
            "precision": round(score.precision, 4),
            "recall": round(score.recall, 4),
            "mixed_entities": score.false_merges,
            "without_code_precision": round(precise, 4),
            "without_code_recall": round(found, 4),
        },
        runs=1,
    )


if __name__ == "__main__":
    main()
