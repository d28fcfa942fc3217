"""Errors of talking to Kafka: a `schemas.errors.GenrestreamError` that exits with one line."""

from schemas.errors import GenrestreamError


class BrokerError(GenrestreamError):
    """No broker answers, or it refuses what we ask."""

    code = "broker"


class DeliveryError(GenrestreamError):
    """A message was not delivered; nothing that depends on it is acknowledged."""

    code = "delivery"
