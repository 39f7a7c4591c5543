-- The one row says whether a rule ($1) was undone now, by whom ($2), or had been before.
select remove_rule($1::bigint, $2) as removed
