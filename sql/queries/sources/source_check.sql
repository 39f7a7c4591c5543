-- No row: Postgres' own parser finds one statement in a catalog's query. The body opens a cursor for it, which takes no other.
do {body}
