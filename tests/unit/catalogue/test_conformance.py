from datong.catalogue import Item, ResourceContent, declared_items, score_content
from datong.kernel import Text
from datong.norms import DataType, Grade, NormPack


def item(column: str, **fields: object) -> Item:
    known = {"name": Text(zh=column, en=column), "column": column, "grade": Grade.L4, **fields}
    return Item.model_validate(known)


def test_an_entry_is_scored_by_what_it_says_of_its_items(pack: NormPack) -> None:
    content = ResourceContent(
        title=Text(zh="示例", en="Example"),
        summary=Text(zh="示例", en="Example"),
        items=(
            item("sfzh", element="citizen_id", length=18),
            item("nl", element="age", data_type=DataType.CHARACTER, length=3),
            item("qt"),
        ),
    )
    assert [declared.length for declared in declared_items(content)] == [18, 3, None]
    score = score_content(content, pack)
    assert (score.items, score.mapped, score.agreeing) == (3, 2, 1)
    assert [(found.name, found.parts) for found in score.deviations] == [("nl", ("type",)), ("qt", ("mapped",))]
