create or replace function restore_rule(rule bigint, by_whom text) returns boolean
language plpgsql security definer set search_path from current
as $$
declare
    was_removed boolean;
begin
    update rule_records set removed_at = null, removed_by = null, author = coalesce(by_whom, author) where rule_id = rule and removed_at is not null;
    was_removed := found;
    if not was_removed and not exists (select from rule_records where rule_id = rule) then
        raise exception 'there is no rule % in %', rule, current_schema() using errcode = 'RJ064';
    end if;
    return was_removed;
end
$$;
comment on function restore_rule is 'Put a removed rule back; false: it was not removed';
revoke all on function restore_rule from public;
