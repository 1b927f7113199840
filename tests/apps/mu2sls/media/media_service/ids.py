"""Ids of reviews and films."""

import uuid

from compiler import decorators


@decorators.service
class UniqueId(object):
    def __init__(self):
        pass

    async def upload_unique_id(self, req_id):
        await Wait(AsyncInvoke('ComposeReview', 'upload', req_id, 'unique_id', str(uuid.uuid4())))


@decorators.service
class MovieId(object):
    def __init__(self):
        self.movies = {}  # type: Persistent[dict]

    def register(self, title, movie_id):
        self.movies[title] = movie_id
        return movie_id

    async def upload_movie(self, req_id, title, rating):
        movie_id = self.movies[title]
        await Wait(AsyncInvoke('ComposeReview', 'upload', req_id, 'movie_id', movie_id))
