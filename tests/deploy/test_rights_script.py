"""``deploy/secure`` with tools that write down their arguments, in place of Kafka's."""

import os
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from services.kafka.rights import USERS, rights_of
from services.settings import load_settings

SCRIPTS = Path(__file__).parents[2] / "deploy" / "secure"
PASSWORD = "correct-horse"  # noqa: S105 - of nobody
OWN = "a-password-of-its-own"
TOOL = """#!/bin/bash
echo "$(basename "$0") $*" >> {folder}/calls
case " $* " in
  *" --list "*) cat {folder}/held ;;
  *" --add-config-file "*) cat "${{@: -1}}" >> {folder}/passwords ;;
esac
"""
HELD = """
Current ACLs for resource `ResourcePattern(resourceType=TOPIC, name={name}, patternType=LITERAL)`:
 \t(principal=User:{user}, host=*, operation={operation}, permissionType=ALLOW)
"""


class Run:
    """A run of a script, and what its tools were called with."""

    def __init__(self, folder: Path, *command: str, held: str = "", **variables: str) -> None:
        tools = folder / "bin"
        tools.mkdir()
        for name in ("kafka-acls.sh", "kafka-configs.sh", "kafka-storage.sh"):
            (tools / name).write_text(TOOL.format(folder=folder))
            (tools / name).chmod(0o755)
        (folder / "held").write_text(held)
        environment = {
            "KAFKA_BIN": str(tools),
            "BOOTSTRAP_SERVERS": "broker:19092",
            "SSL_CAFILE": "/certificates/ca.pem",
            "SASL_USERNAME": "genrestream",
            "SASL_PASSWORD": PASSWORD,
            "CLUSTER_ID": "a-cluster",
            "TMPDIR": str(folder),
        }
        self.done = subprocess.run(
            ["bash", str(SCRIPTS / command[0]), *command[1:]],
            env={**os.environ, **environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        calls, passwords = folder / "calls", folder / "passwords"
        self.calls = calls.read_text().splitlines() if calls.exists() else []
        self.passwords = passwords.read_text().splitlines() if passwords.exists() else []
        self.left = [path.name for path in folder.iterdir() if path.name.startswith("tmp.")]

    def named(self, *words: str) -> list[str]:
        return [call for call in self.calls if all(f" {word} " in f" {call} " for word in words)]


def test_every_row_of_the_table_is_given(tmp_path: Path) -> None:
    run = Run(tmp_path, "rights.sh")
    assert run.done.returncode == 0, run.done.stderr
    table = rights_of(load_settings(topic_prefix=""))
    assert len(USERS) == 8
    for user in USERS:
        for kind, name, rights in table[user].all():
            pattern = "PREFIXED" if name.endswith("*") else "LITERAL"
            for right in rights:
                assert run.named(
                    *("kafka-acls.sh", "--add", f"--allow-principal User:{user}"),
                    *(f"--resource-pattern-type {pattern}", f"--{kind} {name.removesuffix('*')}"),
                    f"--operation {right.upper()}",
                ), (user, kind, name, right)
    assert not run.named("--remove")
    assert not run.named("User:producer")


def test_no_password_is_an_argument_or_stays_in_a_file(tmp_path: Path) -> None:
    for script in ("rights.sh", "add-user.sh"):
        folder = tmp_path / script
        folder.mkdir()
        run = Run(folder, script, KAFKA_PASSWORD_LAG=OWN)
        assert run.done.returncode == 0, run.done.stderr
        told = "\n".join([*run.calls, run.done.stdout, run.done.stderr])
        assert run.calls
        assert PASSWORD not in told
        assert OWN not in told
        assert not run.left


def test_a_user_has_its_own_password_where_one_is_set(tmp_path: Path) -> None:
    run = Run(tmp_path, "rights.sh", KAFKA_PASSWORD_LAG=OWN)
    lines = Counter(run.passwords)
    assert lines == {f"SCRAM-SHA-512=password={PASSWORD}": 7, f"SCRAM-SHA-512=password={OWN}": 1}


def test_what_is_held_is_not_given_again_and_what_is_too_much_is_taken(tmp_path: Path) -> None:
    held = [
        HELD.format(name="audio.chunks", user="extractor", operation="READ"),
        HELD.format(name="stations", user="extractor", operation="WRITE"),
        HELD.format(name="stations", user="somebody", operation="WRITE"),
        HELD.format(name="stations", user="studio-a.extractor", operation="WRITE"),
    ]
    run = Run(tmp_path, "rights.sh", held="".join(held))
    assert not run.named("--add", "User:extractor", "--topic audio.chunks")
    (taken,) = run.named("--remove")
    assert "User:extractor" in taken
    assert "--topic stations" in taken
    assert "--operation WRITE" in taken


def test_a_prefix_stands_before_topics_groups_and_users(tmp_path: Path) -> None:
    held = HELD.format(name="stations", user="extractor", operation="WRITE")
    run = Run(tmp_path, "rights.sh", held=held, GENRESTREAM_TOPIC_PREFIX="studio-a.")
    assert not run.named("--remove")
    given = run.named("--add")
    assert given
    for call in given:
        words = call.split()
        for option, value in pairwise(words):
            if option in ("--topic", "--group"):
                assert value.startswith("studio-a.")
            if option == "--allow-principal":
                assert value.startswith("User:studio-a.")


def test_users_that_are_added(tmp_path: Path) -> None:
    run = Run(tmp_path, "rights.sh", "reader", "wall", NEW_PASSWORD=OWN)
    assert run.done.returncode == 0, run.done.stderr
    assert run.named("--add", "User:wall", "--operation READ", "--topic genre.predictions")
    assert run.named("--add", "User:wall", "--resource-pattern-type PREFIXED", "--group wall-")
    assert run.passwords == [f"SCRAM-SHA-512=password={OWN}"]


@pytest.mark.parametrize(
    ("arguments", "password", "told"),
    [
        (("reader", "wall"), "", "choose a password for wall"),
        (("reader", "wall"), 'a"b', "the password of wall has a quote"),
        (("reader", "wall"), "a b", "the password of wall has a quote"),
        (("reader", "w all"), OWN, "the name 'w all'"),
        (("writer", "wall"), OWN, "usage: rights.sh"),
        (("reader",), OWN, "usage: rights.sh"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], password: str, told: str
) -> None:
    run = Run(tmp_path, "rights.sh", *arguments, NEW_PASSWORD=password)
    assert run.done.returncode == 2
    assert f"error: {told}" in run.done.stderr
    assert not run.passwords
