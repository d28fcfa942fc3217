"""Errors that end a worker: what depends on them is not acknowledged."""

from schemas.errors import GenrestreamError


class DeliveryError(GenrestreamError):
    """A message was not delivered; nothing that depends on it is acknowledged."""

    code = "delivery"


class RefusedBySize(DeliveryError):
    """A message is larger than its topic takes, so it never will be delivered as it is."""

    code = "refused-by-size"
