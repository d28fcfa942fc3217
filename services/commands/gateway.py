"""``genrestream worker gateway``: the page and the API."""

import logging.config

import uvloop

from schemas.errors import SettingsError
from services.observing.logs import log_configuration
from services.settings import Settings

MISSING = "the page needs more packages: pip install 'genrestream[gateway]'"


def run_gateway(settings: Settings) -> None:
    """Run a gateway until a signal.

    Raises
    ------
    GenrestreamError
        Something that it needs is missing: packages, a broker, the topics, a token, its port.
    """
    try:
        from services.gateway.server import create_gateway, serve
    except ImportError as error:
        raise SettingsError(f"{MISSING} ({error.name} is missing)") from error
    logging.config.dictConfig(log_configuration(settings.log_level, settings.log_format))
    gateway = create_gateway(settings)
    uvloop.run(serve(gateway))
