"""Scanners over what is not Python: Dockerfiles, workflows, YAML, shell; and the licences of what is installed.

`make scan` runs them from a virtualenv of their own. Each also reads files of `scanners/planted`, whose faults it must
find: a scanner that finds nothing there says nothing about the product by finding nothing in it.
"""
