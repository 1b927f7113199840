"""A movie review, composed from five parts that several services make in parallel."""

import asyncio
from typing import Any

from reading import MovieReviews, ReviewStorage, UserReviews
from sostenuto import service
from writing import Movies, Ratings, Texts, UniqueIds, Users


@service
class ComposeReview:
    """Composes a review and stores it in three places."""

    ids: UniqueIds
    texts: Texts
    users: Users
    movies: Movies
    ratings: Ratings
    storage: ReviewStorage
    by_movie: MovieReviews
    by_user: UserReviews

    async def compose(self, user: str, title: str, text: str, stars: int) -> dict[str, Any]:
        """Write a review and return it.

        >>> ComposeReview().compose("ada", "Metropolis", "Saw it twice, see https://example.org @bob", 9)
        """
        review_id, body, user_id, movie_id, rating = await asyncio.gather(
            self.ids.next(),
            self.texts.parse(text),
            self.users.id_of(user),
            self.movies.id_of(title),
            self.ratings.check(stars),
        )
        review = {
            "id": review_id,
            "user": user_id,
            "movie": movie_id,
            "text": body["text"],
            "links": body["links"],
            "mentions": body["mentions"],
            "stars": rating,
        }
        await asyncio.gather(
            self.storage.store(review_id, review),
            self.by_movie.append(movie_id, review_id, rating),
            self.by_user.append(user_id, review_id),
        )
        return review


@service
class Page:
    """Reads what was written."""

    movies: Movies
    storage: ReviewStorage
    by_movie: MovieReviews

    async def movie(self, title: str) -> dict[str, Any]:
        """Mean rating and reviews of a movie, newest first."""
        movie_id = await self.movies.id_of(title)
        summary = await self.by_movie.summary(movie_id)
        reviews = await asyncio.gather(*[self.storage.read(review_id) for review_id in summary["reviews"]])
        return {"title": title, "mean": summary["mean"], "reviews": list(reviews)}
