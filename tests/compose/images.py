"""The images that the stack runs on: ours, and Apache Kafka's or a stand-in of its own jars."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.faults.kafka import jars

ROOT: Final = Path(__file__).parents[2]
OURS: Final = "genrestream:test"
KAFKA: Final = "apache/kafka:4.1.0"
STAND_IN: Final = "genrestream-kafka-stand-in:4.1.0"
_MODULES: Final = (
    "java.base,java.desktop,java.logging,java.management,java.naming,java.security.jgss,java.security.sasl,"
    "java.sql,java.xml,jdk.crypto.ec,jdk.management,jdk.unsupported,jdk.zipfs"
)
_BUILD_SECONDS: Final = 1200.0
_PULL_SECONDS: Final = 600.0


def docker(*arguments: str, seconds: float = 60.0, check: bool = True) -> str:
    """Run docker; return what it prints."""
    done = subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        cwd=ROOT,
    )
    if check and done.returncode:
        raise RuntimeError(f"docker {arguments[0]} failed: {(done.stderr or done.stdout)[-3000:]}")
    return done.stdout if not done.returncode else ""


def docker_output(*arguments: str) -> str:
    """Run docker; return what it prints on both streams."""
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60.0,
        check=True,
        cwd=ROOT,
    )
    return done.stdout


def missing_engine() -> str | None:
    """Say why no container can run here; ``None`` when one can."""
    if not shutil.which("docker"):
        return "there is no docker on the path"
    if not docker("info", "--format", "{{.ServerVersion}}", check=False).strip():
        return "no Docker engine answers"
    if not docker("compose", "version", check=False):
        return "docker has no compose plugin"
    return None


def build_ours() -> str:
    """Build the image of the services; return its name."""
    docker("build", "--network", "host", "--tag", OURS, ".", seconds=_BUILD_SECONDS)
    return OURS


def kafka_image() -> str:
    """Return Apache Kafka's image, or build the stand-in where it cannot be pulled."""
    for image in (KAFKA, STAND_IN):
        if docker("image", "inspect", "--format", "{{.Id}}", image, check=False):
            return image
    if docker("pull", "--quiet", KAFKA, seconds=_PULL_SECONDS, check=False):
        return KAFKA
    with tempfile.TemporaryDirectory() as folder:
        _collect_stand_in(Path(folder))
        docker("build", "--tag", STAND_IN, folder, seconds=_BUILD_SECONDS)
    return STAND_IN


def _collect_stand_in(folder: Path) -> None:
    recipe = Path(__file__).with_name("kafka")
    shutil.copy(recipe / "Dockerfile", folder)
    shutil.copy(recipe / "run", folder)
    (folder / "bin").mkdir()
    for command in recipe.glob("kafka-*.sh"):
        shutil.copy(command, folder / "bin")
    shutil.copytree(jars(), folder / "jars")
    target = str(folder / "java")
    runtime = ["jlink", "--add-modules", _MODULES, "--strip-debug", "--output", target]
    subprocess.run(runtime, check=True, capture_output=True, timeout=_BUILD_SECONDS)
