"""What is known of a film."""

from compiler import decorators


@decorators.service
class MovieInfo(object):
    def __init__(self):
        self.infos = {}  # type: Persistent[dict]

    def write(self, movie_id, title, plot_id, cast_ids):
        self.infos[movie_id] = dict(title=title, plot_id=plot_id, cast_ids=cast_ids)

    def read(self, movie_id):
        return self.infos[movie_id]


@decorators.service
class Plot(object):
    def __init__(self):
        self.plots = {}  # type: Persistent[dict]

    def write_plot(self, plot_id, text):
        self.plots[plot_id] = text

    def read_plot(self, plot_id):
        return self.plots[plot_id]


@decorators.service
class CastInfo(object):
    def __init__(self):
        self.cast = {}  # type: Persistent[dict]

    def write_cast(self, cast_id, name):
        self.cast[cast_id] = name

    def read_cast(self, cast_ids):
        return [self.cast[i] for i in cast_ids]
