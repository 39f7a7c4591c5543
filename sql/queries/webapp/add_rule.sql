-- The one row has the number of the rule that was added ($1, a JSON object).
select add_rule($1::jsonb) as rule_id
