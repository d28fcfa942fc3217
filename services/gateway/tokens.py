"""The token: who has it may read and write where a token is set.

Comparisons take the same time whatever is compared. The page gets a cookie that is made from the
token and does not hold it.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

COOKIE: Final = "genrestream"
#: A cookie is good for so long.
COOKIE_SECONDS: Final = 30 * 86_400


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """Knows the token, or that there is none.

    Parameters
    ----------
    token
        ``None``: everything but changing stations is open to whoever reaches the port.
    """

    token: str | None

    @property
    def is_set(self) -> bool:
        """Whether there is a token."""
        return self.token is not None

    def is_right(self, candidate: str | None) -> bool:
        """Compare with the token, in constant time."""
        if self.token is None or candidate is None:
            return False
        return hmac.compare_digest(_digest(candidate), _digest(self.token))

    def bears(self, authorization: str | None) -> bool:
        """Tell whether a header ``Authorization`` holds the token."""
        scheme, _, candidate = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and self.is_right(candidate.strip())

    def cookie(self, now: float) -> str:
        """Make the value of a cookie that is good from now on."""
        expires = str(round(now) + COOKIE_SECONDS)
        return f"{expires}.{self._signature(expires)}"

    def accepts_cookie(self, value: str | None, now: float) -> bool:
        """Tell whether a cookie is one of ours and still good."""
        expires, _, signature = (value or "").partition(".")
        if self.token is None or not signature or not expires.isascii() or not expires.isdigit():
            return False
        if len(expires) > 12 or int(expires) < now:
            return False
        return hmac.compare_digest(self._signature(expires).encode(), signature.encode())

    def _signature(self, expires: str) -> str:
        key = (self.token or "").encode()
        return hmac.new(key, b"cookie:" + expires.encode(), hashlib.sha256).hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
