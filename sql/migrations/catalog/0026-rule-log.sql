-- What became of each rule, by whom: an editor may change a rule's note and removal, and give any author, but not this.
create table rule_log_records (
    log_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    rule_id bigint not null,
    action text not null check (action in ('insert', 'update', 'delete')),
    actor text not null default session_user,
    before jsonb,
    after jsonb
);
create index on rule_log_records (rule_id);
comment on table rule_log_records is 'A row is one change of one rule: by which login, and the rule before and after it';

create function log_rule() returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    insert into rule_log_records (rule_id, action, before, after)
    values (coalesce(new.rule_id, old.rule_id), lower(tg_op), to_jsonb(old), to_jsonb(new));
    return null;
end
$$;
revoke all on function log_rule from public;
create trigger log_rule after insert or update or delete on rule_records for each row execute function log_rule();
