-- Its name is of the time when rules were written out for items; those are in rule_items no more.
create or replace function refresh_rule_items(changed bigint[]) returns void
language plpgsql security definer set search_path from current
as $$
begin
    -- One at a time, in two statements: the second sees what others made of the rules while this one waited.
    perform from rule_state where slot = 'rules' for update;
    update rule_state set version = version + 1, any_written = exists (select from current_rules) where slot = 'rules';
end
$$;
comment on function refresh_rule_items is 'Note that rules changed (which ones does not matter): whether there are any, and their version';
revoke all on function refresh_rule_items from public;
