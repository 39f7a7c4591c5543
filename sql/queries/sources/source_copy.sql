-- A row is a line of what a catalog's query found, in an order that only its content decides: equal results are equal
-- bytes.
copy (
    select * from (
{query}
    ) as recjobs_row order by recjobs_row::text collate "C"
) to stdout (format csv, header, encoding 'UTF8')
