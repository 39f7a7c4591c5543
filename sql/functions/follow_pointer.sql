create or replace function follow_pointer() returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    -- A publish or roll-back never waits for somebody who is changing rules: that change notes the same when it is made.
    perform from rule_state where slot = 'rules' and any_written for update skip locked;
    if found then
        update rule_state set any_written = false where slot = 'rules' and not exists (select from current_rules);
    end if;
    return null;
end
$$;
comment on function follow_pointer is 'Note, where the pointer moves, that all rules are over. Rules themselves follow without being told: what they are about is looked up in the live batch';
revoke all on function follow_pointer from public;
