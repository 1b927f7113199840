"""Text and rating."""

from compiler import decorators


@decorators.service
class Text(object):
    def __init__(self):
        pass

    def upload_text(self, req_id, text):
        SyncInvoke('ComposeReview', 'upload', req_id, 'text', text.strip())


@decorators.service
class Rating(object):
    def __init__(self):
        self.sums = {}  # type: Persistent[dict]

    def upload_rating(self, req_id, rating):
        self.sums["sum"] = self.sums.get("sum", 0) + rating
        self.sums["count"] = self.sums.get("count", 0) + 1
        SyncInvoke('ComposeReview', 'upload', req_id, 'rating', rating)

    def average(self):
        return self.sums["sum"] / self.sums["count"]
