"""The udp-whitelister as a model: when was the last request of a connection?"""

from packets import UDP, connection


class Model:
    def __init__(self, idle_s):
        self.idle_ns = idle_s * 10**9
        self.last_request_ns = {}

    def packet(self, given):
        view = given.view
        if view is None or view.proto != UDP:
            return given.data
        if view.source.port is None:
            return None  # a fragment whose first did not come
        key = connection(view)[0]
        if given.inside:
            self.last_request_ns[key] = given.time_ns
            return given.data
        last_ns = self.last_request_ns.get(key)
        return given.data if last_ns is not None and given.time_ns - last_ns < self.idle_ns else None
