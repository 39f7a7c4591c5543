-- The one row says what a rule ($1, a JSON object) would do, looked at in about $2 lists.
select try_rule($1::jsonb, $2::integer) as would
