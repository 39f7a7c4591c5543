create or replace function follow_pointer() returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    if exists (select from rule_records where removed_at is null) then
        perform refresh_rule_items(null);
    end if;
    return null;
end
$$;
comment on function follow_pointer is 'Write out all rules for the items of the batch that becomes live, in the transaction that moves the pointer';
revoke all on function follow_pointer from public;
