-- No role takes all connections of the server: not a hundred analysts, and not a leak in a night. The shares add up to
-- more than all, as they are not used at once; whoever rolls back, publishes or migrates has a reserve besides
-- (`reserved_connections` of the server). A limit that somebody has set stays.
do $$
declare
    available integer := cast(current_setting('max_connections') as integer)
        - cast(current_setting('superuser_reserved_connections') as integer)
        - cast(coalesce(current_setting('reserved_connections', true), '0') as integer);
    name text;
    share integer;
begin
    for name, share in values
        ('recjobs_reader', 60), ('recjobs_editor', 20), ('recjobs_loader', 40), ('recjobs_publisher', 40),
        ('recjobs_migrator', 20)
    loop
        if exists (select from pg_roles where rolname = name and rolconnlimit = -1) then
            execute format('alter role %I connection limit %s', name, greatest(5, available * share / 100));
        end if;
    end loop;
    -- Only a superuser may, or who was given the right to: docs/operating.md has the statement for the others.
    if (select rolsuper from pg_roles where rolname = current_user)
        or pg_has_role(current_user, 'pg_use_reserved_connections', 'usage with admin option')
    then
        grant pg_use_reserved_connections to recjobs_editor, recjobs_migrator, recjobs_publisher with inherit true;
    end if;
end
$$;
