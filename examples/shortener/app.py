"""A link shortener in the mu2sls dialect."""

from hashlib import sha256

from compiler import decorators


@decorators.service
class Shortener(object):
    def __init__(self):
        self.urls = {}  # type: Persistent[dict]
        self.hits = {}  # type: Persistent[dict]

    def shorten(self, url):
        """The short id of a link; the same link always has the same one.

        >>> Shortener().shorten("https://example.org/a/long/path")
        """
        short = sha256(url.encode()).hexdigest()[:8]
        if short not in self.urls:
            self.urls[short] = url
            self.hits[short] = 0
        return short

    def expand(self, short):
        """The link behind a short id, or None."""
        if short not in self.urls:
            return None
        self.hits[short] += 1
        return self.urls[short]

    def count(self, short):
        """How often a short id was expanded."""
        return self.hits.get(short, 0)
