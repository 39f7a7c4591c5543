create or replace function add_rule(rule jsonb) returns bigint
language plpgsql security definer set search_path from current
as $$
declare
    new rule_records;
    broken text;
    before text := coalesce(current_setting('recjobs.allow_unknown', true), '');
    unknown text := (
        select string_agg(k, ', ') from jsonb_object_keys(rule) as k
        where k not in ('kind', 'item_id', 'category', 'segment', 'place', 'factor', 'at_most', 'starts_at', 'ends_at', 'author', 'note', 'allow_unknown')
    );
begin
    if unknown is not null then
        raise exception 'a rule has no %', unknown using errcode = 'RJ064';
    end if;
    new := jsonb_populate_record(null::rule_records, rule);
    if (rule ->> 'allow_unknown')::boolean then
        perform set_config('recjobs.allow_unknown', 'on', true);
    end if;
    insert into rule_records (kind, item_id, category, segment, place, factor, at_most, starts_at, ends_at, author, note)
    values (
        new.kind, new.item_id, new.category, new.segment, new.place, new.factor, new.at_most, coalesce(new.starts_at, now()),
        new.ends_at, coalesce(new.author, session_user), coalesce(new.note, '')
    )
    returning rule_id into new.rule_id;
    perform set_config('recjobs.allow_unknown', before, true);
    return new.rule_id;
exception
    when check_violation or not_null_violation or invalid_text_representation or invalid_datetime_format or datetime_field_overflow
        or numeric_value_out_of_range then
        get stacked diagnostics broken = constraint_name;
        raise exception using errcode = 'RJ064', message = case broken
            when 'rule_names_an_item_or_a_category' then
                case new.kind when 'pin' then 'a pin needs an item_id and has no category' when 'cap' then 'a cap has no item_id'
                else format('this rule (%s) needs an item_id or a category, not both', new.kind) end || ': a pin needs an item_id, a cap a category or none (each category), any other rule an item_id or a category'
            when 'rule_has_what_its_kind_needs' then
                case
                    when new.kind = 'pin' and new.place is null then 'a pin needs a place, 1 to 1000 (1 is the first)'
                    when new.kind = 'boost' and new.factor is null then 'a boost needs a factor, such as 3'
                    when new.kind = 'cap' and new.at_most is null then 'a cap needs at_most, the number of items that may stay'
                    else format(
                        'this rule (%s) has no %s', new.kind, concat_ws(
                            ' and no ', case when new.kind <> 'pin' and new.place is not null then 'place' end,
                            case when new.kind <> 'boost' and new.factor is not null then 'factor' end,
                            case when new.kind <> 'cap' and new.at_most is not null then 'at_most' end
                        )
                    )
                end || ': a pin, and nothing else, has a place; a boost a factor; a cap at_most'
            when 'rule_ends_after_it_starts' then 'ends_at must lie after starts_at'
            when 'rule_records_kind_check' then 'there is no such kind of rule; see docs/rules.md'
            when 'rule_records_place_check' then 'place must be 1 to 1000'
            when 'rule_records_factor_check' then 'factor must be above 0 and at most 1000'
            when 'rule_records_at_most_check' then 'at_most must be 0 to 1000'
            else sqlerrm
        end;
end
$$;
comment on function add_rule is 'Add a rule, as a JSON object with the columns of rules; returns its rule_id. It is in force in the next answer. "allow_unknown": true for an item, category or segment that the live batch does not have yet';
revoke all on function add_rule from public;
