"""A film's page. Some of what it calls does not exist, as in the application that this dialect comes from."""

from compiler import decorators


@decorators.service
class Page(object):
    def __init__(self):
        pass

    async def read_page(self, movie_id):
        info = SyncInvoke('MovieInfo', 'read', movie_id)
        reviews = AsyncInvoke('MovieReview', 'read', movie_id)
        cast = AsyncInvoke('CastInfo', 'read_cast', info["cast_ids"])
        plot = AsyncInvoke('Plot', 'read_plot', info["plot_id"])
        (reviews, cast, plot) = await WaitAll(reviews, cast, plot)
        return {"title": info["title"], "plot": plot, "cast": cast, "reviews": [r["text"] for r in reviews]}

    def broken_method(self, movie_id):
        return SyncInvoke('CastInfo', 'read_cast_info', movie_id)

    def broken_service(self, movie_id):
        return SyncInvoke('Casting', 'read', movie_id)

    def broken_arguments(self, movie_id):
        try:
            return SyncInvoke('MovieInfo', 'read', movie_id, 'more')
        except TypeError as e:
            return "refused"

    async def broken_promise(self):
        return await Wait(AsyncInvoke('EchoBackend', 'request'))
