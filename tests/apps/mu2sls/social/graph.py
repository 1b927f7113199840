"""Who follows whom."""

from compiler import decorators


@decorators.service
class SocialGraph(object):
    def __init__(self):
        self.followers = {}  # type: Persistent[dict]
        self.events = []  # type: Persistent[list]

    def follow(self, user, other):
        followers = self.followers.get(other, default=[])
        if user not in followers:
            followers.append(user)
        self.followers[other] = followers
        self.events.append((user, "follows", other))
        return len(followers)

    def get_followers(self, user):
        return self.followers.get(user, default=[])

    def last_events(self, count):
        return self.events[-count:]
