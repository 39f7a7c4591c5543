-- The five roles every catalog shares. They are created without a password: whoever runs the server gives
-- them one (`alter role ... password`) or another way in. PUBLIC keeps nothing, not even TEMP.
do $$
declare
    name text;
begin
    foreach name in array array['recjobs_owner', 'recjobs_migrator', 'recjobs_loader', 'recjobs_publisher', 'recjobs_reader'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I', name);
        end if;
    end loop;
    alter role recjobs_owner nologin;
    alter role recjobs_migrator login noinherit;
    alter role recjobs_loader login;
    alter role recjobs_publisher login;
    alter role recjobs_reader login;

    grant recjobs_owner to recjobs_migrator with inherit false, set true;
    if not pg_has_role(current_user, 'recjobs_owner', 'set') then
        execute format('grant recjobs_owner to %I with inherit false, set true', current_user);
    end if;

    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect, create on database %I to recjobs_owner', current_database());
    execute format(
        'grant connect on database %I to recjobs_migrator, recjobs_loader, recjobs_publisher, recjobs_reader',
        current_database()
    );
    revoke all on schema public from public;
end
$$;

comment on role recjobs_owner is 'Owns every catalog; nobody logs in as it';
comment on role recjobs_migrator is 'Becomes recjobs_owner, for migrate and prune only';
comment on role recjobs_loader is 'Copies a staged batch in';
comment on role recjobs_publisher is 'Calls the publish functions';
comment on role recjobs_reader is 'Selects from the served views';

-- For reliability, not for security: a reader that hangs must not hold a pruned partition for ever.
alter role recjobs_reader set statement_timeout = '30s';
alter role recjobs_reader set idle_in_transaction_session_timeout = '60s';
