-- The one row says whether the rule was removed until now.
select restore_rule(%(rule_id)s, %(author)s) as changed
