"""What commands load: those that only talk to Kafka start without what computes."""

import subprocess
import sys

import pytest

HEAVY = ("scipy", "numba", "onnxruntime", "librosa", "soxr", "soundfile", "sklearn", "tensorflow")
MODULES = (
    "services.cli",
    "services.commands.listen",
    "services.commands.lag",
    "services.kafka.topics",
    "services.dead_letters.inspecting",
    "services.dead_letters.replaying",
    "services.settings",
)


@pytest.mark.parametrize("module", MODULES)
def test_talking_to_kafka_loads_nothing_that_computes(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(found.stdout.split())
    assert module in loaded
    assert loaded.isdisjoint(HEAVY), sorted(loaded.intersection(HEAVY))
