-- No row: a catalog's schema is gone, with all that is in it.
drop schema {catalog} cascade
