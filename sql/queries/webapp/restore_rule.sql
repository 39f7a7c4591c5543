-- The one row says whether a removed rule ($1) was put back now, by whom ($2), or had been before.
select restore_rule($1::bigint, $2) as restored
