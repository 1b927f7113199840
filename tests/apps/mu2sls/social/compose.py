"""Composes a post: text, mentions, timeline, storage."""

import datetime
import re
from uuid import uuid4

from compiler import decorators


@decorators.service
class Compose(object):
    def __init__(self):
        self.count = 0  # type: Persistent[int]

    async def compose(self, author, text):
        short = AsyncInvoke('UrlShorten', 'shorten_all', text)
        post_id = str(uuid4())
        mentions = [m[1:] for m in re.findall(r"@\w+", text)]
        post = {"post_id": post_id, "author": author, "text": await Wait(short), "mentions": mentions,
                "at": str(datetime.datetime.now())}
        await WaitAll(AsyncInvoke('Posts', 'store', post),
                      AsyncInvoke('HomeTimeline', 'write', post_id, author, mentions))
        self.count += 1
        return post_id

    def composed(self):
        return int(self.count)
