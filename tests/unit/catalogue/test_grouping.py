from hypothesis import given
from hypothesis import strategies as st

from datong.catalogue import ColumnProfile, Placement, SourceReference, TableProfile, TableRole, group_tables


def column(name: str) -> ColumnProfile:
    return ColumnProfile(
        name=name, type="text", comment="", null_ratio=1.0, distinct=0, unique=False, length_min=0, length_max=0
    )


def table(
    name: str,
    *columns: str,
    key: tuple[str, ...] = (),
    refers: dict[str, str] | None = None,
    rows: int | None = None,
    comment: str = "",
    is_view: bool = False,
) -> TableProfile:
    """A table; `refers` names the tables that columns refer to."""
    return TableProfile(
        table=name,
        comment=comment,
        rows=0,
        rows_total=rows,
        columns=tuple(column(one) for one in columns),
        key_columns=key,
        references=tuple(
            SourceReference(columns=(own,), table=other, other_columns=("id",)) for own, other in (refers or {}).items()
        ),
        is_view=is_view,
    )


def placed(*tables: TableProfile, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> dict[str, Placement]:
    return {place.table: place for place in group_tables(tables, include=include, exclude=exclude)}


ORDER = table("sale_order", "id", "buyer", "total", key=("id",))


def test_an_extension_a_detail_and_a_link_belong_to_their_main_table() -> None:
    found = placed(
        ORDER,
        table("sale_order_ext", "id", "note", key=("id",), refers={"id": "sale_order"}),
        table("sale_order_line", "id", "order_id", "price", key=("id",), refers={"order_id": "sale_order"}),
        table("sale_order_line_tax", "id", "line_id", "rate", key=("id",), refers={"line_id": "sale_order_line"}),
        table("tag", "id", "colour", "size", key=("id",)),
        table(
            "sale_tag_rel", "id", "order_id", "tag_id", key=("id",), refers={"order_id": "sale_order", "tag_id": "tag"}
        ),
    )
    assert {name: (place.role.value, place.of) for name, place in found.items()} == {
        "sale_order": ("main", ""),
        "sale_order_ext": ("extension", "sale_order"),
        "sale_order_line": ("detail", "sale_order"),
        "sale_order_line_tax": ("detail", "sale_order"),
        "tag": ("main", ""),
        "sale_tag_rel": ("link", "sale_order"),
    }
    assert "sale_order" in found["sale_order_line"].reason.zh


def test_a_detail_is_recognised_by_its_name_where_no_key_is_declared() -> None:
    found = placed(ORDER, table("sale_order_items", "id", "order_id", "price", key=("id",)))
    assert found["sale_order_items"].of == "sale_order"
    other = placed(ORDER, table("sale_order_items", "id", "price", key=("id",)))
    assert other["sale_order_items"].role is TableRole.MAIN


def test_yearly_tables_are_one_and_the_newest_stands_for_them() -> None:
    names = ("t_2022", "t_2023", "t_2024", "p_1", "p_2", "p")
    found = placed(*(table(name, "id", "xm", "je", key=("id",)) for name in names))
    assert {name: place.of for name, place in found.items() if place.role is TableRole.SHARD} == {
        "t_2022": "t_2024",
        "t_2023": "t_2024",
        "p_1": "p",
        "p_2": "p",
    }


def test_tables_of_other_columns_are_no_shards() -> None:
    found = placed(table("form_1", "id", "a", "b"), table("form_2", "id", "c", "d"))
    assert {place.role for place in found.values()} == {TableRole.MAIN}


def test_a_copy_of_one_day_is_a_backup() -> None:
    found = placed(ORDER, table("sale_order_20230401", "id", "buyer", "total"))
    assert found["sale_order_20230401"].role is TableRole.LEFT_OUT


def test_what_is_left_out_says_why_and_a_person_may_disagree() -> None:
    names = ("person_bak", "tmp_person", "oper_log", "qrtz_triggers", "flyway_schema_history", "person", "catalogue")
    tables = [table(name, "id", "a", "b") for name in names]
    found = placed(*tables, include=("oper_*",), exclude=("person",))
    left = {name for name, place in found.items() if place.role is TableRole.LEFT_OUT}
    assert left == {"person_bak", "tmp_person", "qrtz_triggers", "flyway_schema_history", "person"}
    assert all(found[name].reason.zh and found[name].reason.en for name in names)


def test_code_tables_are_no_resources() -> None:
    found = placed(
        table("dm_xb", "dm", "mc", rows=3),
        table("t1", "value", "label", comment="民族字典", rows=56),
        table("dict_big", "code", "name", rows=900_000),
        table("person_type", "id", "name"),
        table("person", "id", "type", refers={"type": "person_type"}),
    )
    codes = {name for name, place in found.items() if place.role is TableRole.CODES}
    assert codes == {"dm_xb", "t1", "person_type"}


def test_a_view_that_only_repeats_a_table_is_left_out() -> None:
    found = placed(
        ORDER,
        table("v_order", "id", "total", is_view=True),
        table("v_turnover", "month", "total", is_view=True),
    )
    assert found["v_order"].role is TableRole.LEFT_OUT
    assert found["v_turnover"].role is TableRole.MAIN


NAMES = st.sampled_from(["a", "a_line", "a_ext", "a_2023", "a_2024", "b", "b_1", "b_2", "a_bak", "dm_a", "a_line_tax"])
TABLES = st.lists(
    st.builds(
        lambda name, refers, key: table(name, "id", "x", *refers, key=("id",) if key else (), refers=refers),
        NAMES,
        st.dictionaries(st.sampled_from(["id", "y", "z"]), NAMES, max_size=3),
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one.table,
)


@given(TABLES)
def test_every_table_has_one_place_and_members_belong_to_main_tables(tables: list[TableProfile]) -> None:
    places = group_tables(tables)
    assert [place.table for place in places] == [one.table for one in tables]
    by_name = {place.table: place for place in places}
    for place in places:
        assert bool(place.of) == place.role.is_member
        if place.of:
            assert by_name[place.of].role is TableRole.MAIN
