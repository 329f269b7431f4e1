from datong.demo.identifiers import citizen_id, credit_code, first_generation


def test_ids_match_examples_checked_elsewhere() -> None:
    assert citizen_id("110101", "19900307", 1) == "110101199003070011"
    assert citizen_id("110105", "19491231", 2) == "11010519491231002X"
    assert first_generation("110101199003070011") == "110101900307001"


def test_credit_codes_match_examples_checked_elsewhere() -> None:
    assert credit_code("11440600", "00000001") == "114406000000000193"
    assert credit_code("91440604", "MA000001") == "91440604MA0000015B"
    assert credit_code("92440604", "MA00000Q") == "92440604MA00000QXA"
