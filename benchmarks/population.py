"""A generated population of any size in three departments' registers, made by DuckDB alone, with its truth.

It is harder than the demo's city: whole records are bad (a careless clerk spoils several fields of one record at once),
identifiers are missing, mistyped or somebody else's, telephones are shared in a family and change, people move, twins
share everything but the given name and the end of the identifier, children are named after the same fashions, and a
name is misheard (another character of the same sound), miswritten or shortened.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from datong.kernel import BatchId, DepartmentCode, ResourceId, Text
from datong.library import LandedBatch, LandedSource, LandingMode

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
    "姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文辉建国玉兰红梅波斌宇浩凯健俊帆雪婷慧巧美淑惠珠翠雅"
    "芝萍荣爱妹香月莺媛瑞凡佳嘉琼勤珍贞莉璐瑶怡婵雁蓓纨仪荷丹蓉眉君琴蕊薇菁梦岚苑筠柔竹霭凝晓欢霄枫芸菲寒"
    "伊亚宜可姬舒影荔枝思轩子涵梓萱浩然欣怡一诺"
)
ALIKE = (
    "伟玮 芳方 娜那 敏闵 静靖 丽莉 强蔷 磊蕾 军君 洋阳 勇永 艳燕 杰洁 娟鹃 涛韬 明鸣 超朝 秀绣 "
    "霞遐 平萍 刚钢 桂贵 英瑛 华桦 文雯 辉晖 建健 玉钰 兰岚 红宏 梅玫 波博 斌彬 宇雨 浩皓 俊峻 "
    "雪薛 婷亭 慧惠 美镁 淑舒 珠朱 雅娅 荣蓉 爱瑷 香乡 月悦 瑞睿 佳嘉 琼穷 珍真 怡宜 丹单 琴秦 "
    "梦孟 晓小 欢环 菲飞 思丝 轩宣 子梓 涵寒 欣心 "
)
_ROAD_TEXT = (
    "汾江 人民 建设 解放 中山 和平 新华 文化 朝阳 光明 体育 幸福 季华 桂澜 南海 "
    "岭南 佛平 海八 魁奇 文华 绿景 同济 华远 卫国 镇中 顺德 容桂 伦教 大良 北滘"
)
ROADS = _ROAD_TEXT.split()
DISTRICTS = ("禅城区", "南海区", "顺德区", "三水区", "高明区")
REGIONS = ("440604", "440605", "440606", "440682", "441201", "430103", "450305", "360702", "511702", "420103")
_PERSON = {"no": "record_id", "name": "person_name", "cid": "citizen_id"}
_REACHED = {"address": "address", "phone": "phone", "at": "updated_at"}
REGISTERS = {
    "residents": (
        0.85,
        {**_PERSON, "sex": "sex", "birth": "birth_date", "home": "household_id", "kin": "relation_to_head", **_REACHED},
    ),
    "insured": (
        0.75,
        {
            **_PERSON,
            "sex": "sex",
            "birth": "birth_date",
            "status": "insurance_status",
            "months": "social_insurance_months",
            **_REACHED,
        },
    ),
    "property": (0.56, {**_PERSON, "unit": "real_estate_unit", **_REACHED, "address": "property_address"}),
}
"""Each register: the share of people in it, and its columns with their elements."""
BATCH_ROWS = 50_000
MEMORY = "3GB"
"""What DuckDB may hold while it makes a population; the rest lies on the disk."""
RECORDS_PER_PERSON = sum(share for share, _ in REGISTERS.values())


def _list(items: Sequence[str]) -> str:
    return "[" + ", ".join(f"'{item}'" for item in items) + "]"


def _draw(salt: str, of: str = "person") -> str:
    """Return the SQL of a number in [0, 1) that depends on the seed, the `salt` and the columns `of`."""
    return f"((hash({of}, '{salt}', getvariable('seed')) % 1000003) / 1000003.0)"


def _pick(items: str, draw: str, skew: float = 1.0) -> str:
    return f"{items}[1 + CAST(floor(pow({draw}, {skew}) * len({items})) AS INTEGER)]"


def create_population(connection: duckdb.DuckDBPyConnection, *, people: int, seed: int) -> None:
    """Create `persons`: who everybody truly is. Families of about three share home, telephone and often the surname."""
    connection.execute(f"SET VARIABLE seed = {seed}")
    for name, items in (("surnames", SURNAMES), ("given", GIVEN), ("roads", ROADS), ("regions", REGIONS)):
        connection.execute(f"SET VARIABLE {name} = {_list(items)}")
    pairs = ALIKE.split()
    written, heard = ("".join(pair[place] for pair in pairs) for place in (0, 1))
    connection.execute(f"SET VARIABLE alike = {_list((written, heard))}")
    connection.execute(f"SET VARIABLE districts = {_list(DISTRICTS)}")
    surnames, given = "getvariable('surnames')", "getvariable('given')"
    family = f"CASE WHEN {_draw('kin')} < 0.75 THEN home ELSE person + 900000000 END"
    twin = f"(person % 3 = 2 AND {_draw('twin', 'home')} < 0.02)"
    older = f"CASE WHEN {twin} THEN person - 1 ELSE person END"
    days = f"CAST(pow({_draw('age', 'older')}, 1.2) * 29000 AS INTEGER)"
    connection.execute(f"""
        CREATE OR REPLACE TABLE persons AS
        WITH numbered AS (SELECT i AS person, i // 3 AS home FROM range({people}) t(i)),
        aged AS (SELECT *, {twin} AS twin, {older} AS older FROM numbered),
        named AS (
            SELECT *, CASE WHEN {_draw("sex")} < 0.51 THEN 1 ELSE 2 END AS sex,
                DATE '2024-12-31' - {days} AS birth,
                {_pick(surnames, _draw("surname", f"({family.replace('person', 'older')})"), 2.2)} AS surname,
                {_pick(given, _draw("first"), 1.6)} || CASE WHEN {_draw("two")} < 0.8
                    THEN {_pick(given, _draw("second"), 1.6)} ELSE '' END AS given,
                {_pick("getvariable('regions')", _draw("region", "home"), 2.0)} AS region
            FROM aged
        ), coded AS (
            SELECT *, region || strftime(birth, '%Y%m%d') || lpad(CAST(
                CAST(floor({_draw("order", "older")} * 480) AS INTEGER) * 2 + CASE WHEN twin THEN 2 ELSE 0 END + sex % 2
                AS VARCHAR), 3, '0') AS body FROM named
        )
        SELECT person, home, sex, birth, surname, given, {_checked("body")} AS cid,
            {_phone("home", "person")} AS phone, {_phone("older", "person")} AS other_phone,
            {_home("home", "home")} AS address, {_home("moved", "person")} AS other_address
        FROM coded QUALIFY row_number() OVER (PARTITION BY body ORDER BY person) = 1
    """)


def _checked(body: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = " + ".join(
        f"{weight} * CAST(substr({body}, {place}, 1) AS INTEGER)" for place, weight in enumerate(weights, 1)
    )
    return f"{body} || substr('10X98765432', 1 + ({total}) % 11, 1)"


def _phone(salt: str, of: str) -> str:
    network = _pick("['38', '39', '36', '37', '58', '88', '86', '99']", _draw("network" + salt, of))
    tail = f"CAST(CAST(floor({_draw('tail' + salt, of)} * 99999999) AS INTEGER) AS VARCHAR)"
    return f"'1' || {network} || lpad({tail}, 8, '0')"


def _home(salt: str, of: str) -> str:
    def number(name: str, most: int) -> str:
        return f"CAST(1 + CAST(floor({_draw(name + salt, of)} * {most}) AS INTEGER) AS VARCHAR)"

    district = _pick("getvariable('districts')", _draw("district" + salt, of))
    road = _pick("getvariable('roads')", _draw("road" + salt, of))
    return (
        f"'广东省佛山市' || {district} || {road} || '路' || {number('n', 400)} || '号' || {number('b', 12)} || '栋' || "
        f"{number('u', 3)} || '单元' || lpad({number('f', 18)} || '0' || {number('d', 6)}, 4, '0') || '室'"
    )


def register_sql(register: str) -> str:
    """Return the query for the records of a register as its clerks wrote them, with the true `person`."""
    share, columns = REGISTERS[register]
    alike = "getvariable('alike')"

    def draw(salt: str) -> str:
        return _draw(f"{register}/{salt}")

    def spoilt(salt: str, rate: float) -> str:
        """Whether a field is spoilt: five times as often in a careless record."""
        return f"{draw(salt)} < {rate} * (CASE WHEN careless THEN 5 ELSE 0.7 END)"

    place = f"CAST(3 + floor({draw('place')} * 14) AS INTEGER)"
    shift = f"1 + CAST(floor({draw('digit')} * 8) AS INTEGER)"
    digit = f"CAST((CAST(substr(cid, {place}, 1) AS INTEGER) + {shift}) % 10 AS VARCHAR)"
    swapped = "substr(cid, 1, 14) || substr(cid, 16, 1) || substr(cid, 15, 1) || substr(cid, 17)"
    number = f"CAST(hash(person, '{register}', getvariable('seed')) % 1000000 AS VARCHAR)"
    other = _pick("getvariable('given')", draw("wrong"))
    written = "%Y%m%d" if register == "residents" else "%Y/%m/%d"
    loose = "replace(replace(replace(address, '广东省佛山市', ''), '栋', '-'), '单元', '-')"
    values = {
        "no": f"'{register[0].upper()}' || lpad({number}, 6, '0') || CAST(person AS VARCHAR)",
        "name": f"""CASE WHEN {spoilt("sound", 0.02)} THEN surname || translate(given, {alike}[1], {alike}[2])
            WHEN {spoilt("character", 0.01)} THEN surname || {other} || substr(given, 2)
            WHEN {spoilt("space", 0.01)} THEN surname || ' ' || given
            WHEN {spoilt("short", 0.003)} THEN surname || substr(given, 1, 1) ELSE surname || given END""",
        "cid": f"""CASE WHEN {spoilt("missing", 0.08)} THEN NULL
            WHEN {spoilt("typed", 0.015)} THEN substr(cid, 1, {place} - 1) || {digit} || substr(cid, {place} + 1)
            WHEN {spoilt("swapped", 0.004)} THEN {swapped}
            WHEN {spoilt("relative", 0.002)} THEN relative
            WHEN {spoilt("lower", 0.02)} THEN lower(cid)
            WHEN {spoilt("old", 0.01)} THEN substr(cid, 1, 6) || substr(cid, 9, 9) ELSE cid END""",
        "sex": f"CASE WHEN {spoilt('sex', 0.004)} THEN CAST(3 - sex AS VARCHAR) ELSE CAST(sex AS VARCHAR) END",
        "birth": f"""CASE
            WHEN {spoilt("birth", 0.012)}
            THEN strftime(birth + CAST(1 + floor({draw("late")} * 9) AS INTEGER), '%Y-%m-%d')
            WHEN {spoilt("month", 0.004)} THEN strftime(birth, '%Y') || '-01-01'
            WHEN {spoilt("nobirth", 0.01)} THEN NULL ELSE strftime(birth, '{written}') END""",
        "home": "CAST(440604000000 + home AS VARCHAR)",
        "kin": "CASE WHEN person % 3 = 0 THEN '02' ELSE '20' END",
        "status": "'参保缴费'",
        "months": f"CAST(CAST(floor({draw('months')} * 400) AS INTEGER) AS VARCHAR)",
        "unit": "'440604' || lpad(CAST(person AS VARCHAR), 6, '0') || 'GB00001F' || "
        "lpad(CAST(person % 9999 AS VARCHAR), 8, '0')",
        "address": f"""CASE WHEN {spoilt("moved", 0.1)} THEN other_address WHEN {spoilt("noaddress", 0.03)} THEN NULL
            WHEN {spoilt("loose", 0.1)} THEN {loose} ELSE address END""",
        "phone": f"""CASE WHEN {spoilt("nophone", 0.05)} THEN NULL WHEN {spoilt("newphone", 0.12)} THEN other_phone
            WHEN person % 3 = 1 OR {spoilt("family", 0.05)} THEN family_phone ELSE phone END""",
        "at": f"strftime(TIMESTAMP '2025-01-01' + to_seconds(CAST(floor({draw('at')} * 31000000) AS INTEGER)), "
        "'%Y-%m-%d %H:%M:%S')",
    }
    return f"""
        WITH inside AS (
            SELECT *, {draw("careless")} < 0.08 AS careless,
                first_value(cid) OVER (PARTITION BY home ORDER BY person) AS relative,
                first_value(phone) OVER (PARTITION BY home ORDER BY person) AS family_phone
            FROM persons
        )
        SELECT {", ".join(f"{values[column]} AS {column}_" for column in columns)}, person
        FROM inside WHERE {draw("inside")} < {share} ORDER BY no_"""


def landed_population(folder: Path, *, people: int, seed: int) -> tuple[LandedSource, ...]:
    """Land the three registers below `folder`, and the truth as `truth.parquet` (resource_id, row_key, person)."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = []
    with duckdb.connect(config={"temp_directory": str(folder / "spill"), "memory_limit": MEMORY}) as connection:
        create_population(connection, people=people, seed=seed)
        connection.execute("CREATE TABLE truth (resource_id VARCHAR, row_key VARCHAR, person BIGINT)")
        for number, (register, (_, columns)) in enumerate(REGISTERS.items()):
            connection.execute(f"CREATE OR REPLACE TABLE rows AS {register_sql(register)}")
            connection.execute(f"INSERT INTO truth SELECT '{register}', no_, person FROM rows")
            names = ", ".join(f"{column}_ AS {column}" for column in columns)
            path = write_batch(connection, f"SELECT {names} FROM rows ORDER BY no_", folder / f"{register}.arrow")
            sources.append(
                LandedSource(
                    resource_id=ResourceId(register),
                    department=DepartmentCode(f"1144060000000000{number:02d}"),
                    title=Text(zh=register, en=register),
                    columns=columns,
                    key_columns=("no",),
                    batches=(
                        LandedBatch(
                            batch_id=BatchId(f"{register}-1"), sequence=1, path=path, mode=LandingMode.SNAPSHOT
                        ),
                    ),
                )
            )
        connection.execute(f"COPY truth TO '{folder / 'truth.parquet'}' (FORMAT parquet)")
    return tuple(sources)


def land_changes(folder: Path, source: LandedSource, *, share: float) -> LandedSource:
    """Return `source` with one more batch below `folder`: a `share` of its rows, a third with another telephone,
    a third with the name of another row, and every tenth as a new record."""
    named = {element: column for column, element in source.columns.items()}
    key, name, phone = source.key_columns[0], named.get("person_name"), named.get("phone")
    values = {column: f'"{column}"' for column in source.columns}
    values[key] = f"""CASE WHEN chance % 10 = 0 THEN "{key}" || 'N' ELSE "{key}" END"""
    if name:
        values[name] = f'CASE WHEN chance % 3 = 1 THEN neighbour ELSE "{name}" END'
    if phone:
        values[phone] = f"""CASE WHEN chance % 3 = 2 THEN '139' || lpad(CAST(chance % 99999999 AS VARCHAR), 8, '0')
            ELSE "{phone}" END"""
    columns = ", ".join(f'{value} AS "{column}"' for column, value in values.items())
    number = len(source.batches) + 1
    with duckdb.connect() as connection:
        rows = pa.ipc.open_stream(pa.memory_map(str(source.batches[0].path))).read_all()
        connection.register("rows", rows)
        neighbour = f'lag("{name}") OVER (ORDER BY "{key}")' if name else "NULL"
        path = write_batch(
            connection,
            f"""
            SELECT {columns} FROM (SELECT *, hash("{key}", {number}) % 1000000007 AS chance, {neighbour} AS neighbour
            FROM rows) WHERE chance < {share * 1_000_000_007} ORDER BY 1""",
            folder / f"{source.resource_id}-{number}.arrow",
        )
    batch = LandedBatch(batch_id=BatchId(f"{source.resource_id}-{number}"), sequence=number, path=path)
    return source.model_copy(update={"batches": (*source.batches, batch)})


def write_batch(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> Path:
    """Write the query's rows as a landed batch."""
    reader = connection.execute(query).to_arrow_reader(BATCH_ROWS)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, reader.schema, options=options) as writer:
        for part in reader:
            writer.write_batch(part)
    return path
