-- A row is one of what a catalog's query of a database other than Postgres found, ordered by all of its columns, by number.
select * from (
{query}
) as recjobs_row order by {columns}
