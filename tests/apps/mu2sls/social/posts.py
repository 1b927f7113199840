"""Posts by id."""

from compiler import decorators


@decorators.service
class Posts(object):
    def __init__(self):
        self.posts = {}  # type: Persistent[dict]

    def store(self, post):
        self.posts[post["post_id"]] = post

    def read(self, post_ids):
        return [self.posts[post_id] for post_id in post_ids if post_id in self.posts]
