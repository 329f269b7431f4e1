"""When a published library is due: after a rest, or when something has landed for too long."""

from datong.library.following import RESTS_MAX, Waiting, is_due, waiting

REST_SECONDS = 10.0


def test_a_change_rests_before_a_build_is_due() -> None:
    known = waiting(None, "one", 5.0)
    assert known == Waiting("one", 5.0, 5.0)
    assert not is_due(known, 14.9, REST_SECONDS)
    assert is_due(waiting(known, "one", 15.0), 15.0, REST_SECONDS)
    changed = waiting(known, "two", 14.0)
    assert changed == Waiting("two", 5.0, 14.0)
    assert not is_due(changed, 23.9, REST_SECONDS)


def test_landings_without_end_do_not_put_it_off_for_ever() -> None:
    known = waiting(None, "0", 0.0)
    moments = [float(second) for second in range(200)]
    due = []
    for moment in moments:
        known = waiting(known, str(moment // 5), moment)
        due += [moment] if is_due(known, moment, REST_SECONDS) else []
    assert due[0] == RESTS_MAX * REST_SECONDS
