from schemas import errors
from schemas.errors import GenrestreamError


def test_codes_are_stable_and_distinct() -> None:
    types = [value for value in vars(errors).values() if isinstance(value, type)]
    codes = {error.__name__: error.code for error in types if issubclass(error, GenrestreamError)}
    assert codes == {
        "GenrestreamError": "error",
        "InputError": "invalid-input",
        "AudioError": "invalid-audio",
        "UnsupportedAudio": "unsupported-audio",
        "CorruptAudio": "corrupt-audio",
        "AudioTooLong": "audio-too-long",
        "AudioTooShort": "audio-too-short",
        "InvalidSamples": "invalid-samples",
        "MessageError": "invalid-message",
        "LateChunk": "late-chunk",
        "WindowOverflow": "window-overflow",
        "MemoryFull": "memory-full",
        "MessageTooLarge": "message-too-large",
        "NumberTaken": "number-taken",
        "ModelError": "invalid-model",
        "SettingsError": "invalid-setting",
    }
