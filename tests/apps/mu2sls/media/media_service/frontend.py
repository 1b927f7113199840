"""Where a review comes in."""

from uuid import uuid4

from compiler import decorators


@decorators.service
class Frontend(object):
    def __init__(self):
        pass

    async def compose(self, username, password, title, rating, text):
        req_id = str(uuid4())
        SyncInvoke('ComposeReview', 'begin', req_id)
        SyncInvoke('User', 'upload_user', req_id, username, password)
        p1 = AsyncInvoke('UniqueId', 'upload_unique_id', req_id)
        p2 = AsyncInvoke('MovieId', 'upload_movie', req_id, title, rating)
        p3 = AsyncInvoke('Text', 'upload_text', req_id, text)
        p4 = AsyncInvoke('Rating', 'upload_rating', req_id, rating)
        await WaitAll(p1, p2, p3, p4)
        return req_id
