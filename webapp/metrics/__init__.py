"""The numbers of the web app: requests, their durations, the sources of lists, how old the lists are.

`counters` counts, `prometheus` writes them for `GET /metrics`, `statsd` sends them, and `recjobs/metrics.yaml` explains
each. They cost a request about a microsecond (docs/decisions/0037): a thread adds to numbers of its own.
"""
