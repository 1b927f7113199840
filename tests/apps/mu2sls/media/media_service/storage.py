"""Reviews, and which belong to a user or a film."""

from compiler import decorators


@decorators.service
class ReviewStorage(object):
    def __init__(self):
        self.reviews = {}  # type: Persistent[dict]

    def store_review(self, review):
        self.reviews[review["review_id"]] = review

    def read_reviews(self, ids):
        return [self.reviews[i] for i in ids]


@decorators.service
class UserReview(object):
    def __init__(self):
        self.ids = {}  # type: Persistent[dict]

    def add(self, user_id, review_id):
        if user_id not in self.ids.keys():
            self.ids[user_id] = []
        self.ids[user_id].append(review_id)

    def read(self, user_id):
        return SyncInvoke('ReviewStorage', 'read_reviews', self.ids.get(user_id, []))


@decorators.service
class MovieReview(object):
    def __init__(self):
        self.ids = {}  # type: Persistent[dict]

    def add(self, movie_id, review_id):
        self.ids[movie_id] = self.ids.get(movie_id, []) + [review_id]

    def read(self, movie_id):
        return SyncInvoke('ReviewStorage', 'read_reviews', self.ids.get(movie_id, []))
