"""What a deployment has to do before users get it: smoke test, golden queries, load test, and steady traffic.

A client over HTTP and nothing else: it runs against the local platform, containers, a cluster or production alike.
"""
