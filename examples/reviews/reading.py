"""Where reviews are kept."""

from typing import Any

from sostenuto import Persistent, service


@service
class ReviewStorage:
    """Reviews by id."""

    reviews: Persistent[dict[str, dict[str, Any]]] = {}

    async def store(self, review_id: str, review: dict[str, Any]) -> None:
        """Keep a review."""
        self.reviews[review_id] = review

    async def read(self, review_id: str) -> dict[str, Any]:
        """The review with this id."""
        return self.reviews[review_id]

    def count(self) -> int:
        """How many reviews there are."""
        return len(self.reviews)


@service
class MovieReviews:
    """Reviews of each movie."""

    movies: Persistent[dict[str, dict[str, Any]]] = {}

    async def append(self, movie_id: str, review_id: str, stars: int) -> None:
        """Note a review of a movie."""
        if movie_id not in self.movies:
            self.movies[movie_id] = {"stars": 0, "reviews": []}
        movie = self.movies[movie_id]
        movie["stars"] += stars
        movie["reviews"].append(review_id)

    async def summary(self, movie_id: str) -> dict[str, Any]:
        """Mean rating and ids of the newest ten reviews."""
        if movie_id not in self.movies:
            return {"mean": None, "reviews": []}
        movie = self.movies[movie_id]
        return {"mean": movie["stars"] / len(movie["reviews"]), "reviews": movie["reviews"][-1:-11:-1]}

    async def ids(self, movie_id: str) -> list[str]:
        """Ids of all reviews of a movie, oldest first."""
        if movie_id not in self.movies:
            return []
        return list(self.movies[movie_id]["reviews"])


@service
class UserReviews:
    """Reviews of each user."""

    users: Persistent[dict[str, list[str]]] = {}

    async def append(self, user_id: str, review_id: str) -> None:
        """Note a review by a user."""
        if user_id not in self.users:
            self.users[user_id] = []
        self.users[user_id].append(review_id)

    async def ids(self, user_id: str) -> list[str]:
        """Ids of all reviews by a user, oldest first."""
        return list(self.users.get(user_id, []))
