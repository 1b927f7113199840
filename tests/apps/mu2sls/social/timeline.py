"""Home timelines: a list of post ids for each user."""

from compiler import decorators


@decorators.service
class HomeTimeline(object):
    def __init__(self):
        self.timelines = {}  # type: Persistent[dict]

    async def write(self, post_id, author, mentions):
        followers = SyncInvoke('SocialGraph', 'get_followers', author)
        for user in followers + [m for m in mentions if m not in followers]:
            timeline = self.timelines.get(user, default=[])
            timeline.insert(0, post_id)
            self.timelines[user] = timeline
        return len(followers)

    def read(self, user, start, stop):
        ids = self.timelines.get(user, default=[])
        return SyncInvoke('Posts', 'read', ids[start:stop])
