create or replace view rule_log as
select log_id, at, rule_id, action, actor, before, after
from rule_log_records;
comment on view rule_log is 'A row is one change of one rule, which nobody who makes rules can alter: the login that made it, and the rule before and after';
