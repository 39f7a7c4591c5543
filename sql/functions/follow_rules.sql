create or replace function follow_rules() returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    perform refresh_rule_items(array(select rule_id from changed));
    return null;
end
$$;
comment on function follow_rules is 'Note that rules were added or changed';
revoke all on function follow_rules from public;
