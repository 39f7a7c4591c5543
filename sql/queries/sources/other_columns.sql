-- A row is none: only the columns of a catalog's query of a database other than Postgres are of interest.
select * from (
{query}
) as recjobs_row where 1 = 0
