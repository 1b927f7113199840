"""The five parts of a review."""

import re
from typing import Any
from uuid import uuid4

from sostenuto import Persistent, service


@service
class UniqueIds:
    """Ids of reviews."""

    async def next(self) -> str:
        """An id that no other review has."""
        return str(uuid4())


@service
class Texts:
    """Takes the text of a review apart."""

    async def parse(self, text: str) -> dict[str, Any]:
        """The text with its links and the users that it mentions."""
        return {
            "text": text.strip(),
            "links": re.findall(r"https?://\S+", text),
            "mentions": re.findall(r"@(\w+)", text),
        }


@service
class Users:
    """Users by name; a new name gets an id."""

    ids: Persistent[dict[str, str]] = {}

    async def id_of(self, name: str) -> str:
        """The user's id."""
        if name not in self.ids:
            self.ids[name] = "u-" + str(uuid4())
        return self.ids[name]


@service
class Movies:
    """Movies by title; a new title gets an id."""

    ids: Persistent[dict[str, str]] = {}

    async def id_of(self, title: str) -> str:
        """The movie's id."""
        if title not in self.ids:
            self.ids[title] = "m-" + str(uuid4())
        return self.ids[title]


@service
class Ratings:
    """Ratings from 0 to 10."""

    async def check(self, stars: int) -> int:
        """The rating, if it is one."""
        if not 0 <= stars <= 10:
            raise ValueError(f"a rating is a number from 0 to 10, not {stars}")
        return stars
