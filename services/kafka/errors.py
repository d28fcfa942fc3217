"""Errors of talking to Kafka: a `schemas.errors.GenrestreamError` that exits with one line."""

from schemas.errors import GenrestreamError
from services.processing.errors import DeliveryError

__all__ = ["BrokerError", "DeliveryError", "RightsError", "StateError"]


class BrokerError(GenrestreamError):
    """No broker answers, or it refuses what we ask."""

    code = "broker"


class RightsError(BrokerError):
    """The brokers' authorizer refuses what we need; the text says all that there is to know."""

    code = "rights"
    says_all = True


class StateError(GenrestreamError):
    """A partition came without the states of its streams, which its processing needs."""

    code = "state"
