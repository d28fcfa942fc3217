"""The services that there are: those of ``genrestream worker``."""

from typer.main import get_group

from services.commands.worker import app

SERVICES = frozenset(get_group(app).commands)
