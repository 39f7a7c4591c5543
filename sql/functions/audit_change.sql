create or replace function audit_change() returns trigger
language plpgsql set search_path from current
as $$
declare
    entry jsonb;
begin
    if tg_table_name = 'publish_records' then
        entry := jsonb_build_object(
            'action', new.action, 'about', coalesce(new.batch_id, 'model ' || new.model_version),
            'details', jsonb_strip_nulls(to_jsonb(new) - array['log_id', 'at', 'action', 'batch_id', 'actor'])
        );
    else
        entry := jsonb_build_object(
            'action', case
                when new.action = 'insert' then 'add_rule'
                when new.action = 'delete' then 'delete_rule'
                when new.before ->> 'removed_at' is null and new.after ->> 'removed_at' is not null then 'remove_rule'
                when new.before ->> 'removed_at' is not null and new.after ->> 'removed_at' is null then 'restore_rule'
                else 'change_rule'
            end,
            'about', 'rule ' || new.rule_id,
            'details', jsonb_strip_nulls(coalesce(new.after, new.before) - array['rule_id', 'created_at'])
        );
    end if;
    -- A night may migrate its catalog before `recjobs migrate` has made the audit.
    if exists (select from pg_catalog.pg_proc as p where p.pronamespace = 'public'::regnamespace and p.proname = 'record_audit') then
        perform public.record_audit(entry || jsonb_build_object('catalog', current_schema()));
    end if;
    return null;
end
$$;
comment on function audit_change is 'Note in the audit a change that one of our logs has';
revoke all on function audit_change from public;
