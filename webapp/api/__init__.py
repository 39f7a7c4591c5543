"""The HTTP contract, shared by all routes: operations and their parameters, errors, headers, bodies, the request log.

A route stands beside what it serves (`webapp.lists`, `webapp.pages`); its `operation` says what it takes, answers and
refuses, and `/openapi.json` is made from that.
"""
