-- Who changes rules and rolls back by day, through the web app or with SQL, and may do nothing else.
do $$
begin
    if not exists (select from pg_roles where rolname = 'recjobs_editor') then
        create role recjobs_editor;
    end if;
    alter role recjobs_editor login;
    execute format('grant connect on database %I to recjobs_editor', current_database());
end
$$;
comment on role recjobs_editor is 'Changes rules and rolls back';
alter role recjobs_editor set statement_timeout = '30s';
alter role recjobs_editor set idle_in_transaction_session_timeout = '60s';
