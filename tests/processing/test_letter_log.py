from schemas import Place
from schemas.errors import CorruptAudio, InputError, MessageError
from services.processing.letter_log import LetterLog
from services.processing.records import DeadLetter, Record


def letter(offset: int, error: InputError) -> DeadLetter:
    return DeadLetter(Record(Place("t", 0, offset), 0, None, b""), error)


def test_the_first_letters_are_logged_in_full_and_the_others_are_counted() -> None:
    log = LetterLog(in_full=2, span_seconds=10.0)
    lines = [log.line(letter(i, CorruptAudio(f"broken {i}")), now=float(i)) for i in range(4)]
    assert [line is not None for line in lines] == [True, True, False, False]
    assert lines[0]
    assert "t[0]@0" in lines[0]
    assert "broken 0" in lines[0]
    assert log.line(letter(4, MessageError("odd")), now=4.0) is None
    assert log.summary(now=9.0) is None
    summary = log.summary(now=10.0)
    assert summary
    assert summary.startswith("3 dead letters more: 2 corrupt-audio, 1 invalid-message")
    assert log.summary(now=30.0) is None
    assert log.line(letter(5, MessageError("odd")), now=31.0)
