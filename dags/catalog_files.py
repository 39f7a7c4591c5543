"""Reports catalog files that cannot be read, as one import error in Airflow. It makes no DAG.

The other DAG files leave such a catalog out, so that a mistake in one file takes no DAG of another catalog away.
"""

from recjobs.catalog.files import load_catalogs

load_catalogs()
