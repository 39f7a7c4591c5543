-- The one row is what a rule would do if it were in force.
select try_rule(%(rule)s, %(among)s) as outcome
