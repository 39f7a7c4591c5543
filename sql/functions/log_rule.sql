create or replace function log_rule() returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    insert into rule_log_records (rule_id, action, before, after)
    values (coalesce(new.rule_id, old.rule_id), lower(tg_op), to_jsonb(old), to_jsonb(new));
    return null;
end
$$;
comment on function log_rule is 'Note a change of a rule, with the login that made it';
revoke all on function log_rule from public;
