"""Short links in texts."""

import re
from hashlib import sha256

from compiler import decorators


@decorators.service
class UrlShorten(object):
    def __init__(self):
        self.urls = {}  # type: Persistent[dict]

    def shorten_all(self, text):
        for url in re.findall(r"https?://\S+", text):
            short = "http://s/" + sha256(url.encode()).hexdigest()[:6]
            self.urls[short] = url
            text = text.replace(url, short)
        return text

    def expand(self, short):
        return self.urls.get(short, default="unknown")
