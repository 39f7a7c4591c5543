create or replace function remove_rule(rule bigint, by_whom text) returns boolean
language plpgsql security definer set search_path from current
as $$
begin
    update rule_records set removed_at = now(), removed_by = coalesce(by_whom, session_user) where rule_id = rule and removed_at is null;
    if not found and not exists (select from rule_records where rule_id = rule) then
        raise exception 'there is no rule % in %', rule, current_schema() using errcode = 'RJ064';
    end if;
    return found;
end
$$;
comment on function remove_rule is 'Undo a rule; false: it was removed already';
revoke all on function remove_rule from public;
