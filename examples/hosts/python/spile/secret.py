"""Secrets on their way into a configuration, and out of what is told of it."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from .records import SpileError


def fill_in(part: Any, secrets: Mapping[str, str], *, leave_others: bool = False, place: tuple[str, ...] = ()) -> Any:
    """Puts the values of secrets in the place of `{"secret": NAME}`, anywhere in a part of a configuration.

    One without a value is an error, or stays as it is if `leave_others` is true. `place` is where the part stands.
    """

    def of(key: str, value: Any) -> Any:
        return fill_in(value, secrets, leave_others=leave_others, place=(*place, key))

    match part:
        case {"secret": str(name), **others} if not others:
            if name in secrets:
                return secrets[name] if is_plain(place) else {"raw_string": secrets[name]}
            if leave_others:
                return part
            # A JSON pointer (RFC 6901).
            pointer = "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in place)
            advice = f'give it by its name: secrets={{"{name}": ...}}'
            raise SpileError("config", f"the secret `{name}` has no value", pointer=pointer, advice=advice)
        case Mapping():
            return {key: of(key, value) for key, value in part.items()}
        case list() | tuple():
            return [of(str(at), value) for at, value in enumerate(part)]
    return part


def is_plain(place: tuple[str, ...]) -> bool:
    """Whether a text is sent as it is there: in `client` and in the `auth` of an endpoint. Elsewhere it is a template, but for a raw string."""
    match place:
        case ("client", *_) | ("resources", _, "endpoint", "auth", *_) | ("resource_defaults", "endpoint", "auth", *_):
            return True
    return False


def hide(text: str | None, secrets: Mapping[str, str]) -> str | None:
    """Puts `***` in the place of the values of secrets in a text, also where they stand as in a URL or in JSON."""
    if text is None:
        return None
    # The longest first: one may be a part of another.
    for secret in sorted(filter(None, secrets.values()), key=len, reverse=True):
        in_json = json.dumps(secret, ensure_ascii=False)[1:-1]
        for written in (secret, quote(secret, safe=""), quote_plus(secret), in_json):
            text = text.replace(written, "***")
    return text
