"""Collects the parts of a review, which come from concurrent calls in any order."""

import datetime

from compiler import decorators

from .common import complete


@decorators.service
class ComposeReview(object):
    def __init__(self):
        self.reqs = {}  # type: Persistent[dict]
        self.counters = {}  # type: Persistent[dict]

    def begin(self, req_id):
        self.reqs[req_id] = {}
        self.counters[req_id] = 0

    async def upload(self, req_id, part, value):
        req = self.reqs[req_id]
        req[part] = value
        self.reqs[req_id] = req
        counter = self.counters[req_id]
        counter += 1
        self.counters[req_id] = counter
        if counter == 5:
            await self.store(req_id)
        return counter

    async def store(self, req_id):
        req = self.reqs[req_id]
        assert complete(req), req
        review = {"review_id": req["unique_id"], "timestamp": str(datetime.datetime.now())}
        for key in ["movie_id", "text", "rating", "user_id"]:
            review[key] = req[key]
        review_id = review["review_id"]
        p1 = AsyncInvoke('ReviewStorage', 'store_review', review)
        p2 = AsyncInvoke('UserReview', 'add', review["user_id"], review_id)
        p3 = AsyncInvoke('MovieReview', 'add', review["movie_id"], review_id)
        await WaitAll(p1, p2, p3)

    def count(self, req_id):
        return self.counters[req_id]
