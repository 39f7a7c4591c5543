-- The one row is the number of the rule that was added.
select add_rule(%(rule)s) as rule_id
