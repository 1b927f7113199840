"""What the services share."""

PARTS = ("unique_id", "movie_id", "text", "rating", "user_id")


def complete(req):
    """Whether all parts of a review have come."""
    return all(part in req for part in PARTS)
