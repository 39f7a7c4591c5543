-- The one row says whether the rule was in the list until now.
select remove_rule(%(rule_id)s, %(author)s) as changed
