from schemas import Station
from services.receiver.directory import Directory

OLD = Station(id="a", name="Old", url="http://a/")
NEW = Station(id="a", name="New", url="http://a/")


def test_what_a_partition_says_counts_from_its_end_on() -> None:
    directory = Directory()
    directory.assign([0])
    directory.take(0, "a", OLD)
    assert directory.wanted() == {}
    directory.take(0, "a", NEW)
    directory.reached_end(0)
    assert directory.wanted() == {"a": (0, NEW)}


def test_a_removed_station_is_not_wanted() -> None:
    directory = Directory()
    directory.assign([0])
    directory.take(0, "a", OLD)
    directory.take(0, "a", None)
    directory.reached_end(0)
    assert directory.wanted() == {}


def test_a_partition_that_comes_back_is_read_anew() -> None:
    directory = Directory()
    directory.assign([0])
    directory.take(0, "a", OLD)
    directory.reached_end(0)
    directory.assign([0, 1])
    assert directory.wanted() == {}
    assert not directory.is_complete(0)


def test_a_late_message_of_another_partition_is_left_out() -> None:
    directory = Directory()
    directory.assign([1])
    directory.take(0, "a", OLD)
    directory.reached_end(0)
    assert directory.wanted() == {}
