-- A row is none: only the columns of a catalog's query are of interest.
select * from (
{query}
) as recjobs_row limit 0
