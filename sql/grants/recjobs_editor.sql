-- Who changes rules and rolls back by day.
do $$
begin
    execute format('grant usage on schema %I to recjobs_editor', current_schema());
end
$$;
grant select on batches, rule_log, rules to recjobs_editor;
grant
    insert (kind, item_id, category, segment, place, factor, at_most, starts_at, ends_at, author, note),
    update (ends_at, note, removed_at, removed_by)
on rules to recjobs_editor;
grant execute on function add_rule, remove_rule, restore_rule, roll_back, try_rule to recjobs_editor;
