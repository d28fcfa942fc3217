from collections.abc import Iterator

import pytest

from benchmarks.postgres import Postgres, PostgresUnavailable, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    try:
        with postgres() as running:
            yield running
    except PostgresUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def url(server: Postgres) -> str:
    """Return the address of an empty database."""
    import secrets

    from sqlalchemy import make_url, text

    from services.recorder.database import connect

    name = f"t{secrets.token_hex(4)}"
    engine = connect(make_url(server.url).set(drivername="postgresql+psycopg"), write=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    found = make_url(server.url).set(drivername="postgresql+psycopg", database=name)
    return found.render_as_string(hide_password=False)
