"""The pages for people: customers and their lists, what changed, nights, rules, reports, signing in.

Everything works by plain links and forms; `static/page.js` only adds suggestions while one types, and looks again at a
night that runs.
"""
