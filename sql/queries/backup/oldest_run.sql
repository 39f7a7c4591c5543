-- The one row is when the oldest run of a table of schema public began, as that table has it.
select min({column}) as oldest from public.{table}
