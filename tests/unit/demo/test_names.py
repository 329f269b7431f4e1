from datong.demo.dice import Dice
from datong.demo.names import given_name, misheard, surname, surname_of, words


def test_common_surnames_are_common() -> None:
    dice = Dice(1)
    drawn = [surname(dice) for _ in range(20_000)]
    assert 0.06 < drawn.count("王") / len(drawn) < 0.12
    assert any(len(name) == 2 for name in drawn)


def test_compound_surnames_stay_whole() -> None:
    assert surname_of("欧阳静") == "欧阳"
    assert surname_of("王静") == "王"
    dice = Dice(2)
    assert all(misheard(dice, "欧阳静").startswith("欧阳") for _ in range(50))


def test_a_misheard_name_differs_in_one_character() -> None:
    dice = Dice(3)
    for _ in range(200):
        heard = misheard(dice, "张志伟")
        assert sum(left != right for left, right in zip(heard, "张志伟", strict=True)) == 1


def test_a_name_without_homophones_stays() -> None:
    assert misheard(Dice(1), "郝娜") == "郝娜"


def test_no_character_sounds_like_itself() -> None:
    assert all(character not in others for character, others in words().sounds_like.items())


def test_given_names_have_one_or_two_characters() -> None:
    dice = Dice(4)
    assert {len(given_name(dice, sex=sex, birth_year=year)) for sex in "12" for year in range(1940, 2024)} == {1, 2}
